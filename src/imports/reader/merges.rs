//! Merged cells: a workbook keeps the text in the first cell only, but it means them all.

use super::Row;
use std::collections::HashMap;

/// A merged area: first and last row and column, counted from 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) rows: (u32, u32),
    pub(super) columns: (u32, u32),
}

/// Fills the rest of areas that run down over several rows.
#[derive(Debug, Default)]
pub(super) struct Merges {
    /// Areas of more than one row, the lowest first row last.
    waiting: Vec<Area>,
    open: Vec<Area>,
    texts: HashMap<u32, String>,
}

impl Merges {
    pub(super) fn new(mut areas: Vec<Area>) -> Merges {
        areas.retain(|it| it.rows.0 < it.rows.1);
        areas.sort_by_key(|it| std::cmp::Reverse(it.rows.0));
        Merges { waiting: areas, ..Merges::default() }
    }

    /// Complete `row`, whose index from 0 is `index`.
    pub(super) fn complete(&mut self, row: &mut Row, index: u32) {
        while self.waiting.last().is_some_and(|it| it.rows.0 <= index) {
            self.open.extend(self.waiting.pop());
        }
        if self.open.is_empty() {
            return;
        }
        self.open.retain(|it| it.rows.1 >= index);
        let mut cells: Vec<String> = row.cells().map(str::to_owned).collect();
        let mut changed = false;
        for area in &self.open {
            let column = area.columns.0 as usize;
            if area.rows.0 == index {
                self.texts.insert(area.columns.0, cells.get(column).cloned().unwrap_or_default());
            } else if let Some(text) = self.texts.get(&area.columns.0) {
                if cells.len() <= column {
                    cells.resize(column + 1, String::new());
                }
                if cells[column].is_empty() {
                    cells[column].clone_from(text);
                    changed = true;
                }
            }
        }
        if changed {
            *row = Row::of(row.number, cells.iter().map(String::as_str));
        }
    }
}
