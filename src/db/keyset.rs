//! Pages by the row at their edge, so that the thousandth page costs what the
//! first does. Knows no table: the lists say what they sort by.

use chrono::{DateTime, NaiveDate, Utc};

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The first.
    #[default]
    First,
    /// What follows this row.
    After(Edge),
    /// What comes just before this row.
    Before(Edge),
}

/// The row at the edge of a page, with what it was sorted by when it was shown: the list goes on there even where the
/// row has moved or is gone by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Row.
    pub id: i64,
    /// What it was sorted by.
    pub key: Key,
}

/// What a list sorts by, ahead of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The row alone.
    Row,
    /// A moment; none: it never came.
    At(Option<DateTime<Utc>>),
    /// A number; 0 where there is none.
    Number(i64),
    /// A day.
    Day(NaiveDate),
    /// A text, which may be somebody's name.
    Text(String),
}

impl Edge {
    /// The row `id` of a list that sorts by the row alone.
    #[must_use]
    pub fn row(id: i64) -> Edge {
        Edge { id, key: Key::Row }
    }
}

impl Place {
    /// What follows `after`, or comes just before `before`; in the list's own order.
    #[must_use]
    pub fn of(before: Option<Edge>, after: Option<Edge>) -> Place {
        match (before, after) {
            (Some(edge), _) => Place::Before(edge),
            (None, Some(edge)) => Place::After(edge),
            (None, None) => Place::First,
        }
    }

    /// The row at the edge.
    #[must_use]
    pub fn edge(&self) -> Option<&Edge> {
        match self {
            Place::First => None,
            Place::After(edge) | Place::Before(edge) => Some(edge),
        }
    }

    /// The same, or the first page where the edge is of a list in another order.
    #[must_use]
    pub fn sorted_by(self, fits: impl FnOnce(&Key) -> bool) -> Place {
        if self.edge().is_none_or(|it| fits(&it.key)) { self } else { Place::First }
    }

    /// Whether rows must be read against the list's order.
    #[must_use]
    pub fn is_backward(&self) -> bool {
        matches!(self, Place::Before(_))
    }
}

/// Rows of one page, in the list's order.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether there are rows before.
    pub has_previous: bool,
    /// Whether there are rows after.
    pub has_next: bool,
}

impl<T> Page<T> {
    /// A page of at most `size` rows, from `rows` as read at `place`: in reading
    /// order, one more than `size` where there are more in that direction.
    #[must_use]
    pub fn new(place: &Place, size: usize, mut rows: Vec<T>) -> Page<T> {
        let more = rows.len() > size;
        rows.truncate(size);
        if place.is_backward() {
            rows.reverse();
        }
        Page {
            rows,
            has_previous: if place.is_backward() { more } else { *place != Place::First },
            has_next: if place.is_backward() { true } else { more },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_its_neighbours() {
        let page = |place, rows: &[i32]| {
            let it = Page::new(&place, 2, rows.to_vec());
            (it.rows, it.has_previous, it.has_next)
        };
        assert_eq!(page(Place::First, &[1, 2]), (vec![1, 2], false, false));
        assert_eq!(page(Place::First, &[1, 2, 3]), (vec![1, 2], false, true));
        assert_eq!(page(Place::After(Edge::row(2)), &[3]), (vec![3], true, false));
        assert_eq!(page(Place::After(Edge::row(2)), &[3, 4, 5]), (vec![3, 4], true, true));
        // Read backward, nearest to the edge first.
        assert_eq!(page(Place::Before(Edge::row(5)), &[4, 3, 2]), (vec![3, 4], true, true));
        assert_eq!(page(Place::Before(Edge::row(3)), &[2, 1]), (vec![1, 2], false, true));
    }
}
