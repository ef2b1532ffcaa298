//! The words of what a list of contacts is narrowed to, each with the address without it.

use super::asked::Asked;
use crate::{
    chile::{comunas, format},
    contacts::{contact_filter::Owner, contact_list::Filter},
    reports::choices::Choices,
};

/// Names that the words of a chip need.
pub(super) struct Names<'a> {
    pub(super) company: &'a str,
    pub(super) segment: &'a str,
    pub(super) list: &'a str,
    /// What the panel of filters offers, which is there where one of its filters is chosen.
    pub(super) choices: Option<&'a Choices>,
}

impl Names<'_> {
    fn among<'a, T>(
        &'a self,
        of: fn(&'a Choices) -> &'a Vec<T>,
        is_it: impl Fn(&T) -> bool,
    ) -> Option<&'a T> {
        self.choices.and_then(|it| of(it).iter().find(|it| is_it(it)))
    }
}

impl Asked {
    /// What the list is narrowed to, each with the address without it.
    pub(super) fn narrowed(&self, filter: &Filter, names: &Names<'_>) -> Vec<(String, String)> {
        let mut links = self.narrowed_person(filter, names);
        let mut link = |label: String, change: fn(&mut Asked)| links.push((label, self.with(change)));
        if let Some(day) = filter.created_from {
            link(format!("Creado desde el {}", format::date(day)), |it| it.created_from.clear());
        }
        if let Some(day) = filter.created_until {
            link(format!("Creado hasta el {}", format::date(day)), |it| it.created_until.clear());
        }
        if let Some(month) = filter.birth_month {
            link(format!("Cumpleaños en {}", format::MONTHS[usize::from(month) - 1]), |it| {
                it.birth_month.clear();
            });
        }
        if let Some(visits) = filter.visits_from {
            link(format!("Al menos {}", format::count(i64::from(visits), "visita", "visitas")), |it| {
                it.visits.clear();
            });
        }
        if let Some(spent) = filter.spent_from {
            link(format!("Gastó al menos {}", format::money(spent)), |it| it.spent.clear());
        }
        if let Some(day) = filter.active_from {
            link(format!("Con actividad desde el {}", format::date(day)), |it| it.active_from.clear());
        }
        if let Some(day) = filter.quiet_from {
            link(format!("Sin actividad desde el {}", format::date(day)), |it| it.quiet_from.clear());
        }
        if let Some(import) = filter.import {
            link(format!("Importación {import}"), |it| it.import.clear());
        }
        if let Some(action) = filter.bulk {
            link(format!("Del cambio masivo {action}"), |it| it.bulk.clear());
        }
        if let Some(action) = filter.changed_by {
            link(format!("Cambiados por el cambio masivo {action}"), |it| it.changed_by.clear());
        }
        links
    }

    fn narrowed_person(&self, filter: &Filter, names: &Names<'_>) -> Vec<(String, String)> {
        let mut links = Vec::new();
        let mut link = |label: String, change: fn(&mut Asked)| links.push((label, self.with(change)));
        if !self.q.trim().is_empty() {
            link(format!("«{}»", self.q.trim()), |it| it.q.clear());
        }
        if filter.segment.is_some() {
            link(format!("Segmento: {}", names.segment), |it| it.segment.clear());
        }
        if filter.list.is_some() {
            link(format!("Lista: {}", names.list), |it| it.list.clear());
        }
        if filter.company.is_some() {
            link(format!("Empresa: {}", names.company), |it| it.company.clear());
        }
        if let Some(code) = &filter.comuna {
            let name = match comunas::region(code) {
                Some(region) => format!("Región: {}", region.name),
                None => format!("Comuna: {}", comunas::name(code)),
            };
            link(name, |it| it.comuna.clear());
        }
        if let Some(industry) = &filter.industry {
            link(format!("Rubro: {industry}"), |it| it.industry.clear());
        }
        if let Some(kind) = filter.kind {
            link(kind.label().to_owned(), |it| it.kind.clear());
        }
        if let Some(source) = filter.source {
            link(format!("Origen: {}", source.label()), |it| it.source.clear());
        }
        if let Some(lifecycle) = filter.lifecycle {
            link(format!("Etapa: {}", lifecycle.label()), |it| it.lifecycle.clear());
        }
        if let Some(contactable) = filter.contactable {
            let label = if contactable { "Contactables por correo" } else { "No contactables por correo" };
            link(label.to_owned(), |it| it.contactable.clear());
        }
        match filter.owner {
            Some(Owner::Nobody) => link("Sin responsable".to_owned(), |it| it.owner.clear()),
            Some(Owner::Staff(id)) => {
                let name = names.among(|it| &it.owners, |it| it.id == id).map_or("no existe", |it| &it.name);
                link(format!("Responsable: {name}"), |it| it.owner.clear());
            }
            None => {}
        }
        if !filter.interests.is_empty() {
            let called = |id: &i64| {
                names
                    .among(|it| &it.interests, |it| it.id.0 == *id)
                    .map_or("no existe", |it| it.name.as_str())
            };
            let label = match filter.interests.as_slice() {
                [one] => format!("Interés: {}", called(one)),
                many => {
                    let all: Vec<&str> = many.iter().map(called).collect();
                    format!("Interés: alguno de {}", format::and(&all))
                }
            };
            link(label, |it| it.interest.clear());
        }
        if let Some(id) = filter.stage {
            let name = names.among(|it| &it.stages, |it| it.0 == id).map_or("no existe", |it| &it.1);
            link(format!("Etapa del embudo: {name}"), |it| it.stage.clear());
        }
        links
    }
}
