//! Pages by the row at their edge, so that the thousandth page costs what the
//! first does. Knows no table: the lists say what they sort by.

/// Which page of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The first.
    #[default]
    First,
    /// What follows this row.
    After(i64),
    /// What comes just before this row.
    Before(i64),
}

impl Place {
    /// As in an address, `?before=7` or `?after=7`; `after` follows in the list's own order.
    #[must_use]
    pub fn of(before: Option<i64>, after: Option<i64>) -> Place {
        match (before, after) {
            (Some(id), _) => Place::Before(id),
            (None, Some(id)) => Place::After(id),
            (None, None) => Place::First,
        }
    }

    /// The row at the edge.
    #[must_use]
    pub fn edge(self) -> Option<i64> {
        match self {
            Place::First => None,
            Place::After(id) | Place::Before(id) => Some(id),
        }
    }

    /// Whether rows must be read against the list's order.
    #[must_use]
    pub fn is_backward(self) -> bool {
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
    pub fn new(place: Place, size: usize, mut rows: Vec<T>) -> Page<T> {
        let more = rows.len() > size;
        rows.truncate(size);
        if place.is_backward() {
            rows.reverse();
        }
        Page {
            rows,
            has_previous: if place.is_backward() { more } else { place != Place::First },
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
            let it = Page::new(place, 2, rows.to_vec());
            (it.rows, it.has_previous, it.has_next)
        };
        assert_eq!(page(Place::First, &[1, 2]), (vec![1, 2], false, false));
        assert_eq!(page(Place::First, &[1, 2, 3]), (vec![1, 2], false, true));
        assert_eq!(page(Place::After(2), &[3]), (vec![3], true, false));
        assert_eq!(page(Place::After(2), &[3, 4, 5]), (vec![3, 4], true, true));
        // Read backward, nearest to the edge first.
        assert_eq!(page(Place::Before(5), &[4, 3, 2]), (vec![3, 4], true, true));
        assert_eq!(page(Place::Before(3), &[2, 1]), (vec![1, 2], false, true));
    }
}
