//! The columns that a list of contacts can show and a file can hold. Knows no
//! page and no format of files.

/// One column. A person's name always comes first and is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// Where they work.
    Company,
    /// What they do there.
    JobTitle,
    /// Email address.
    Email,
    /// Telephone.
    Phone,
    /// Comuna: theirs, else their company's.
    Comuna,
    /// How far the relationship has come.
    Lifecycle,
    /// Whether promotions by email may reach them.
    Reach,
    /// Where they came from.
    Source,
    /// Who looks after them.
    Owner,
    /// What they are tagged with.
    Interests,
    /// Day of birth.
    BirthDate,
    /// Since when they are here.
    Created,
    /// How often they came.
    Visits,
    /// What they spent.
    Spent,
    /// Their latest sign of life.
    LastActivity,
}

impl Column {
    /// Every one, in the order in which they stand.
    pub const ALL: &[Column] = &[
        Column::Company,
        Column::JobTitle,
        Column::Email,
        Column::Phone,
        Column::Comuna,
        Column::Lifecycle,
        Column::Reach,
        Column::Source,
        Column::Owner,
        Column::Interests,
        Column::BirthDate,
        Column::Created,
        Column::Visits,
        Column::Spent,
        Column::LastActivity,
    ];

    /// What a list shows while nobody chose.
    pub const USUAL: &[Column] =
        &[Column::Company, Column::Email, Column::Phone, Column::Comuna, Column::Lifecycle, Column::Reach];

    /// As stored and in addresses.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Column::Company => "company",
            Column::JobTitle => "job_title",
            Column::Email => "email",
            Column::Phone => "phone",
            Column::Comuna => "comuna",
            Column::Lifecycle => "lifecycle",
            Column::Reach => "reach",
            Column::Source => "source",
            Column::Owner => "owner",
            Column::Interests => "interests",
            Column::BirthDate => "birth_date",
            Column::Created => "created",
            Column::Visits => "visits",
            Column::Spent => "spent",
            Column::LastActivity => "last_activity",
        }
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Column::Company => "Empresa",
            Column::JobTitle => "Cargo",
            Column::Email => "Correo",
            Column::Phone => "Teléfono",
            Column::Comuna => "Comuna",
            Column::Lifecycle => "Etapa",
            Column::Reach => "Por correo",
            Column::Source => "Origen",
            Column::Owner => "Responsable",
            Column::Interests => "Intereses",
            Column::BirthDate => "Nacimiento",
            Column::Created => "Creado",
            Column::Visits => "Visitas",
            Column::Spent => "Gastado",
            Column::LastActivity => "Última actividad",
        }
    }

    /// Whether it holds figures, which stand at the right.
    #[must_use]
    pub fn is_figure(self) -> bool {
        matches!(self, Column::Visits | Column::Spent)
    }

    /// The columns that `codes` name, in the order in which they stand; the usual ones where they name none.
    pub fn chosen<'a>(codes: impl Iterator<Item = &'a str>) -> Vec<Column> {
        let codes: Vec<&str> = codes.collect();
        let chosen: Vec<Column> =
            Column::ALL.iter().copied().filter(|it| codes.contains(&it.code())).collect();
        if chosen.is_empty() { Column::USUAL.to_vec() } else { chosen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_columns_stand_in_their_order_and_strangers_are_left_out() {
        assert_eq!(
            Column::chosen(["phone", "email", "password"].into_iter()),
            [Column::Email, Column::Phone]
        );
        assert_eq!(Column::chosen(std::iter::empty()), Column::USUAL);
        let again = Column::chosen(Column::ALL.iter().map(|it| it.code()));
        assert_eq!(again, Column::ALL);
    }
}
