"""Looking at a session: as a page that stays, or live while it runs."""

from kernel_exec.viewing.still import page_of_file, write_page

__all__ = ["page_of_file", "write_page"]
