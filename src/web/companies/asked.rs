//! What a list of companies is asked for, as in its address: filters, order,
//! columns. To and from the domain's filter; the words of its chips.

use crate::{
    accounts::staff::StaffUser,
    chile::{comunas, format, text::tidy},
    contacts::{
        columns::{Choice as _, CompanyColumn},
        company_list::{Filter, Sort},
        contact_filter::Owner,
        views::Shows,
    },
    error::{Error, Result},
    web::views::Viewed,
};
use axum::http::Uri;
use axum_extra::extract::Query;
use chrono::NaiveDate;
use serde::Deserialize;

/// The filters, as in the address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) q: String,
    pub(super) comuna: String,
    pub(super) industry: String,
    pub(super) owner: String,
    /// `yes`: somebody works there; `no`: nobody.
    pub(super) peopled: String,
    pub(super) created_from: String,
    pub(super) created_until: String,
    pub(super) sort: String,
    /// Codes with commas; what an address holds.
    pub(super) columns: String,
    /// Codes one by one: what the form of columns sends.
    pub(super) column: Vec<String>,
    /// The saved view that it began with.
    pub(super) view: String,
    pub(super) before: String,
    pub(super) after: String,
    /// `all`: count them to the last one.
    pub(super) count: String,
}

impl Asked {
    /// From the part of an address after its question mark. One that cannot be read is refused: it
    /// would ask for every company.
    pub(super) fn parse(query: &str) -> Result<Asked> {
        let uri = format!("/?{query}").parse::<Uri>().ok();
        let read = uri.and_then(|it| Query::try_from_uri(&it).ok()).map(|Query(it)| it);
        read.ok_or_else(|| {
            Error::refused(
                "No pudimos leer los filtros de la lista. No se hizo nada: vuelve a la lista y repite.",
            )
        })
    }

    pub(super) fn filter(&self) -> Filter {
        let text = |it: &String| Some(tidy(it)).filter(|it| !it.is_empty());
        let day = |it: &String| it.trim().parse::<NaiveDate>().ok();
        Filter {
            q: self.q.clone(),
            comuna: text(&self.comuna)
                .filter(|it| comunas::by_code(it).is_some() || comunas::region(it).is_some()),
            industry: text(&self.industry),
            owner: Owner::from_code(&self.owner),
            peopled: match self.peopled.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
            created_from: day(&self.created_from),
            created_until: day(&self.created_until),
            among: None,
        }
    }

    /// How many of the panel's filters are chosen.
    pub(super) fn chosen(&self) -> usize {
        let panel = [
            &self.comuna,
            &self.industry,
            &self.owner,
            &self.peopled,
            &self.created_from,
            &self.created_until,
        ];
        panel.iter().filter(|it| !it.is_empty()).count()
    }

    pub(super) fn sort(&self) -> Sort {
        if self.sort == "newest" { Sort::Newest } else { Sort::Name }
    }

    pub(super) fn columns(&self) -> Vec<CompanyColumn> {
        let chosen = if self.column.is_empty() {
            CompanyColumn::chosen(self.columns.split(','))
        } else {
            CompanyColumn::chosen(self.column.iter().map(String::as_str))
        };
        chosen.unwrap_or_else(|| CompanyColumn::USUAL.to_vec())
    }

    /// Everything that is asked for, by name, the page aside.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let columns = self.columns();
        let columns =
            if columns == CompanyColumn::USUAL { String::new() } else { CompanyColumn::joined(&columns) };
        let pairs = [
            ("q", &self.q),
            ("comuna", &self.comuna),
            ("industry", &self.industry),
            ("owner", &self.owner),
            ("peopled", &self.peopled),
            ("created_from", &self.created_from),
            ("created_until", &self.created_until),
            ("sort", &self.sort),
            ("columns", &columns),
            ("view", &self.view),
        ];
        pairs.into_iter().filter(|it| !it.1.is_empty()).map(|(name, value)| (name, value.clone())).collect()
    }

    /// The pairs that the form of filters does not hold itself.
    pub(super) fn beside_filters(&self) -> Vec<(&'static str, String)> {
        self.pairs().into_iter().filter(|it| matches!(it.0, "columns" | "view")).collect()
    }

    /// The pairs that the form of columns does not hold itself.
    pub(super) fn beside_columns(&self) -> Vec<(&'static str, String)> {
        self.pairs().into_iter().filter(|it| it.0 != "columns").collect()
    }

    /// The part of the address after its question mark, the page aside.
    pub(super) fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.pairs()).finish()
    }

    /// The address of the same page with all of them counted.
    pub(super) fn counted(&self) -> String {
        let address = self.address();
        let and = if address.contains('?') { '&' } else { '?' };
        format!("{address}{and}count=all")
    }

    /// The address with one thing changed, from the first page.
    pub(super) fn with(&self, change: impl FnOnce(&mut Asked)) -> String {
        let mut other = Asked { before: String::new(), after: String::new(), ..self.clone() };
        change(&mut other);
        other.address()
    }

    /// What the list is narrowed to, each with the address without it.
    pub(super) fn narrowed(&self, filter: &Filter, owners: &[StaffUser]) -> Vec<(String, String)> {
        let mut links = Vec::new();
        let mut link = |label: String, change: fn(&mut Asked)| links.push((label, self.with(change)));
        if !self.q.trim().is_empty() {
            link(format!("«{}»", self.q.trim()), |it| it.q.clear());
        }
        if let Some(code) = &filter.comuna {
            let label = match comunas::region(code) {
                Some(region) => format!("Región: {}", region.name),
                None => format!("Comuna: {}", comunas::name(code)),
            };
            link(label, |it| it.comuna.clear());
        }
        if let Some(industry) = &filter.industry {
            link(format!("Rubro: {industry}"), |it| it.industry.clear());
        }
        match filter.owner {
            Some(Owner::Nobody) => link("Sin responsable".to_owned(), |it| it.owner.clear()),
            Some(Owner::Staff(id)) => {
                let name = owners.iter().find(|it| it.id == id).map_or("no existe", |it| &it.name);
                link(format!("Responsable: {name}"), |it| it.owner.clear());
            }
            None => {}
        }
        if let Some(peopled) = filter.peopled {
            let label = if peopled { "Con contactos" } else { "Sin contactos" };
            link(label.to_owned(), |it| it.peopled.clear());
        }
        if let Some(day) = filter.created_from {
            link(format!("Creada desde el {}", format::date(day)), |it| it.created_from.clear());
        }
        if let Some(day) = filter.created_until {
            link(format!("Creada hasta el {}", format::date(day)), |it| it.created_until.clear());
        }
        links
    }
}

impl Viewed for Asked {
    type Filter = Filter;
    const PATH: &'static str = "/companies";
    const LEFT: &'static str = "Sus empresas siguen donde estaban.";

    fn parse(query: &str) -> Result<Asked> {
        Asked::parse(query)
    }

    fn of(shows: &Shows<Filter>) -> Asked {
        let Shows { filter, sort, columns } = shows;
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        let day = |it: Option<NaiveDate>| it.map(|it| it.to_string()).unwrap_or_default();
        Asked {
            q: filter.q.clone(),
            comuna: text(&filter.comuna),
            industry: text(&filter.industry),
            owner: filter.owner.map(Owner::code).unwrap_or_default(),
            peopled: filter.peopled.map_or("", |it| if it { "yes" } else { "no" }).to_owned(),
            created_from: day(filter.created_from),
            created_until: day(filter.created_until),
            sort: if *sort == Sort::Newest { "newest".to_owned() } else { String::new() },
            columns: if columns == CompanyColumn::USUAL {
                String::new()
            } else {
                CompanyColumn::joined(columns)
            },
            ..Asked::default()
        }
    }

    fn shows(&self) -> Shows<Filter> {
        Shows { filter: self.filter(), sort: self.sort(), columns: self.columns() }
    }

    fn view(&mut self) -> &mut String {
        &mut self.view
    }

    fn address(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs());
        for (name, value) in [("before", &self.before), ("after", &self.after)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { Self::PATH.to_owned() } else { format!("{}?{query}", Self::PATH) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_survives_its_address() {
        let asked = Asked::parse(
            "q=sur&comuna=10&owner=none&peopled=no&created_from=2026-01-01&sort=newest&column=rut&column=email",
        )
        .unwrap();
        assert_eq!(asked.columns(), [CompanyColumn::Rut, CompanyColumn::Email]);
        let again = Asked::parse(&asked.query()).unwrap();
        assert_eq!((again.filter(), again.columns()), (asked.filter(), asked.columns()));
        assert_eq!(again.sort(), Sort::Newest);
        let kept = Asked::of(&asked.shows());
        assert_eq!(kept.address(), asked.address());
        assert_eq!(
            Asked::parse("peopled=maybe&comuna=1&created_from=ayer").unwrap().filter(),
            Filter::default()
        );
        assert!(Asked::parse("q=sur&q=norte").is_err(), "not every company");
    }
}
