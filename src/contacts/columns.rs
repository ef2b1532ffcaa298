//! The columns that a list can show and a file can hold. Knows no page and no
//! format of files.

/// The columns of one kind of list. What a row is called always comes first and is none of these.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every one, in the order in which they stand.
    const ALL: &'static [Self];

    /// What a list shows while nobody chose.
    const USUAL: &'static [Self];

    /// As stored and in addresses.
    fn code(self) -> &'static str;

    /// As people read it.
    fn label(self) -> &'static str;

    /// Whether it holds figures, which stand at the right.
    fn is_figure(self) -> bool;

    /// The columns that `codes` name, in the order in which they stand; none where they name none.
    fn chosen<'a>(codes: impl Iterator<Item = &'a str>) -> Option<Vec<Self>> {
        let codes: Vec<&str> = codes.collect();
        let chosen: Vec<Self> = Self::ALL.iter().copied().filter(|it| codes.contains(&it.code())).collect();
        (!chosen.is_empty()).then_some(chosen)
    }

    /// The codes of `columns`, joined as an address holds them.
    #[must_use]
    fn joined(columns: &[Self]) -> String {
        columns.iter().map(|it| it.code()).collect::<Vec<_>>().join(",")
    }
}

/// One column of a list of contacts.
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

impl Choice for Column {
    const ALL: &'static [Column] = &[
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

    const USUAL: &'static [Column] =
        &[Column::Company, Column::Email, Column::Phone, Column::Comuna, Column::Lifecycle, Column::Reach];

    fn code(self) -> &'static str {
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

    fn label(self) -> &'static str {
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

    fn is_figure(self) -> bool {
        matches!(self, Column::Visits | Column::Spent)
    }
}

/// One column of a list of companies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompanyColumn {
    /// RUT.
    Rut,
    /// Line of business.
    Industry,
    /// Comuna.
    Comuna,
    /// Street address.
    Address,
    /// Telephone.
    Phone,
    /// Email address.
    Email,
    /// Web site.
    Website,
    /// Who looks after it.
    Owner,
    /// Since when it is here.
    Created,
    /// How many people work there.
    Contacts,
}

impl Choice for CompanyColumn {
    const ALL: &'static [CompanyColumn] = &[
        CompanyColumn::Rut,
        CompanyColumn::Industry,
        CompanyColumn::Comuna,
        CompanyColumn::Address,
        CompanyColumn::Phone,
        CompanyColumn::Email,
        CompanyColumn::Website,
        CompanyColumn::Owner,
        CompanyColumn::Created,
        CompanyColumn::Contacts,
    ];

    const USUAL: &'static [CompanyColumn] = &[
        CompanyColumn::Rut,
        CompanyColumn::Industry,
        CompanyColumn::Comuna,
        CompanyColumn::Owner,
        CompanyColumn::Contacts,
    ];

    fn code(self) -> &'static str {
        match self {
            CompanyColumn::Rut => "rut",
            CompanyColumn::Industry => "industry",
            CompanyColumn::Comuna => "comuna",
            CompanyColumn::Address => "address",
            CompanyColumn::Phone => "phone",
            CompanyColumn::Email => "email",
            CompanyColumn::Website => "website",
            CompanyColumn::Owner => "owner",
            CompanyColumn::Created => "created",
            CompanyColumn::Contacts => "contacts",
        }
    }

    fn label(self) -> &'static str {
        match self {
            CompanyColumn::Rut => "RUT",
            CompanyColumn::Industry => "Rubro",
            CompanyColumn::Comuna => "Comuna",
            CompanyColumn::Address => "Dirección",
            CompanyColumn::Phone => "Teléfono",
            CompanyColumn::Email => "Correo",
            CompanyColumn::Website => "Sitio web",
            CompanyColumn::Owner => "Responsable",
            CompanyColumn::Created => "Creada",
            CompanyColumn::Contacts => "Contactos",
        }
    }

    fn is_figure(self) -> bool {
        self == CompanyColumn::Contacts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_columns_stand_in_their_order_and_strangers_are_left_out() {
        assert_eq!(
            Column::chosen(["phone", "email", "password"].into_iter()).unwrap(),
            [Column::Email, Column::Phone]
        );
        assert_eq!(Column::chosen(std::iter::empty()), None);
        let again = Column::chosen(Column::ALL.iter().map(|it| it.code()));
        assert_eq!(again.as_deref(), Some(Column::ALL));
    }
}
