//! How values look in a page.
