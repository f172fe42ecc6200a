"""The table of fits as an HDF5 file: a dataset per column, and the full covariances."""

from pathlib import Path

import h5py

from acquisition.fits.fit_table import FitTable

__all__ = ["write_fit_table"]


def write_fit_table(table: FitTable, path: Path) -> None:
    """Write /fits with a dataset for each column, and /fits/covariance over `parameters`.

    Units stand in the attribute `units` of the datasets. An existing file is replaced. Raises
    OSError where it cannot be written.
    """
    with h5py.File(path, "w") as file:
        group = file.create_group("fits")
        group.attrs["columns"] = list(table.columns)
        for name, column in table.columns.items():
            kind = h5py.string_dtype() if isinstance(column, tuple) else None
            group.create_dataset(name, data=column, dtype=kind)
            group[name].attrs["units"] = _unit(name)
        group.create_dataset("covariance", data=table.covariance)
        group["covariance"].attrs["parameters"] = list(table.parameters)


def _unit(name: str) -> str:
    bare = name.removesuffix("_error")
    if bare.endswith("_eV"):
        return "eV"
    return "counts" if bare.endswith("_counts") or bare.startswith("background") else ""
