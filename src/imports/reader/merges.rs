//! Merged cells: a workbook keeps the text in the first cell only, but it means them all.

use super::{MAX_COLUMNS, Row};

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
    /// By column, the last row and the text of the area that is open there: a row costs
    /// by its columns, however many areas the file states.
    open: Vec<Option<(u32, String)>>,
}

impl Merges {
    pub(super) fn new(mut areas: Vec<Area>) -> Merges {
        // Beyond those columns no file is read.
        areas.retain(|it| it.rows.0 < it.rows.1 && (it.columns.0 as usize) < MAX_COLUMNS);
        areas.sort_by_key(|it| std::cmp::Reverse(it.rows.0));
        Merges { waiting: areas, ..Merges::default() }
    }

    /// Complete `row`, whose index from 0 is `index`.
    pub(super) fn complete(&mut self, row: &mut Row, index: u32) {
        let filled = |it: &(usize, &str)| row.cell(it.0).is_empty() && !it.1.is_empty();
        let open = self.open.iter().enumerate();
        let missing: Vec<(usize, &str)> = open
            .filter_map(|(at, it)| Some((at, it.as_ref().filter(|it| it.0 >= index)?.1.as_str())))
            .filter(filled)
            .collect();
        if let Some((last, _)) = missing.last() {
            let mut cells: Vec<&str> = row.cells().collect();
            cells.resize(cells.len().max(last + 1), "");
            for (at, text) in &missing {
                cells[*at] = text;
            }
            *row = Row::of(row.number, cells);
        }
        while let Some(area) = self.waiting.pop_if(|it| it.rows.0 <= index) {
            let column = area.columns.0 as usize;
            if self.open.len() <= column {
                self.open.resize(column + 1, None);
            }
            // An area whose first row holds nothing has no text to repeat.
            self.open[column] = (area.rows.0 == index).then(|| (area.rows.1, row.cell(column).to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(rows: (u32, u32), column: u32) -> Area {
        Area { rows, columns: (column, column) }
    }

    #[test]
    fn the_text_of_an_area_stands_in_each_of_its_rows() {
        let mut merges = Merges::new(vec![area((0, 2), 1), area((3, 4), 1), area((6, 8), 0)]);
        let mut read = |index: u32, cells: &[&str]| {
            let mut row = Row::of(index + 1, cells.iter().copied());
            merges.complete(&mut row, index);
            row.cells().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(read(0, &["Ana", "Uno"]), ["Ana", "Uno"]);
        assert_eq!(read(1, &["Eva"]), ["Eva", "Uno"]);
        assert_eq!(read(2, &["Eva", "propia"]), ["Eva", "propia"]);
        assert_eq!(read(3, &["Juan"]), ["Juan"]);
        assert_eq!(read(4, &["Luis"]), ["Luis"], "the area above has ended");
        assert_eq!(read(7, &["", "x"]), ["", "x"], "its first row was not in the file");
    }

    #[test]
    fn areas_beyond_what_is_read_make_no_cells() {
        let mut merges = Merges::new(vec![area((0, 4), 321_272_405)]);
        for index in 0..3 {
            let mut row = Row::of(index + 1, ["Ana"]);
            merges.complete(&mut row, index);
            assert_eq!(row.len(), 1);
        }
    }

    #[test]
    fn areas_above_each_other_are_open_one_at_a_time() {
        let areas = (0..100_000).map(|at| area((at / 100, 1_000_000), at % 100)).collect();
        let mut merges = Merges::new(areas);
        for index in 0..1_000 {
            merges.complete(&mut Row::of(index + 1, ["Ana"]), index);
        }
        assert_eq!(merges.open.len(), MAX_COLUMNS);
        assert!(merges.waiting.is_empty());
    }
}
