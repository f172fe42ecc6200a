"""The window around its panels: menus, docks, strips, palette, memory."""
