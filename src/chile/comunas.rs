//! The 346 comunas and 16 regions of Chile with their CUT codes (Código Único
//! Territorial, Subdere), found by name however it is spelt.
//!
//! `comunas.csv` derives from the fixtures of django-chile-cities 1.0.1
//! (BSD-3-Clause, © 2024 Daniel Cristóbal Ojeda Sandoval), with the codes of
//! Ñuble corrected to those of the decree (DS 8/2018) and usual spellings. The
//! licence of that package is beside it, `comunas.LICENSE`.

use super::text::fold;
use std::{collections::HashMap, sync::LazyLock};

/// One of the 16 regions.
#[derive(Debug, PartialEq, Eq)]
pub struct Region {
    /// First two digits of the codes of its comunas.
    pub code: &'static str,
    /// As said in a sentence or a list: `Los Lagos`.
    pub name: &'static str,
}

/// One of the 346 comunas.
#[derive(Debug, PartialEq, Eq)]
pub struct Comuna {
    /// CUT code, five digits.
    pub code: &'static str,
    /// Usual name.
    pub name: &'static str,
    /// Its province.
    pub province: &'static str,
    /// Its region.
    pub region: &'static Region,
}

/// The regions, north to south, as people list them.
pub static REGIONS: [Region; 16] = [
    Region { code: "15", name: "Arica y Parinacota" },
    Region { code: "01", name: "Tarapacá" },
    Region { code: "02", name: "Antofagasta" },
    Region { code: "03", name: "Atacama" },
    Region { code: "04", name: "Coquimbo" },
    Region { code: "05", name: "Valparaíso" },
    Region { code: "13", name: "Metropolitana" },
    Region { code: "06", name: "O'Higgins" },
    Region { code: "07", name: "Maule" },
    Region { code: "16", name: "Ñuble" },
    Region { code: "08", name: "Biobío" },
    Region { code: "09", name: "La Araucanía" },
    Region { code: "14", name: "Los Ríos" },
    Region { code: "10", name: "Los Lagos" },
    Region { code: "11", name: "Aysén" },
    Region { code: "12", name: "Magallanes" },
];

/// Other spellings, folded, by code.
const ALIASES: &[(&str, &str)] = &[
    ("calera", "05502"),
    ("llay llay", "05703"),
    ("marchigue", "06204"),
    ("coihaique", "11101"),
    ("aisen", "11201"),
    ("puerto aysen", "11201"),
    ("puerto aisen", "11201"),
    ("ohiggins", "11302"),
    ("villa ohiggins", "11302"),
    ("villa o higgins", "11302"),
    ("trehuaco", "16207"),
    ("paiguano", "04105"),
    ("puerto natales", "12401"),
    ("puerto williams", "12201"),
    ("san francisco de mostazal", "06110"),
    ("san vicente de tagua tagua", "06117"),
    ("san jose de la mariquina", "14106"),
    ("san javier de loncomilla", "07406"),
    ("puerto saavedra", "09116"),
    ("til til", "13303"),
    ("chol chol", "09121"),
    ("alto bio bio", "08314"),
    ("rapa nui", "05201"),
    ("vina", "05109"),
    ("stgo", "13101"),
    ("santiago centro", "13101"),
    ("santiago de chile", "13101"),
    ("pac", "13121"),
    ("pedro aguirre cerda pac", "13121"),
    ("rinconada de los andes", "05303"),
    ("hornopiren", "10403"),
    ("entre lagos", "10304"),
];

static COMUNAS: LazyLock<Vec<Comuna>> = LazyLock::new(|| {
    include_str!("comunas.csv")
        .lines()
        .filter_map(|line| {
            let mut cells = line.split(';');
            let (code, name, province) = (cells.next()?, cells.next()?, cells.next()?);
            let region = REGIONS.iter().find(|it| code.starts_with(it.code))?;
            Some(Comuna { code, name, province, region })
        })
        .collect()
});

static BY_NAME: LazyLock<HashMap<String, &'static Comuna>> = LazyLock::new(|| {
    let names = all().iter().map(|it| (fold(it.name), it));
    let aliases = ALIASES.iter().filter_map(|(name, code)| Some(((*name).to_owned(), by_code(code)?)));
    aliases.chain(names).collect()
});

/// Every comuna, by code.
#[must_use]
pub fn all() -> &'static [Comuna] {
    &COMUNAS
}

/// The comuna with this CUT code.
#[must_use]
pub fn by_code(code: &str) -> Option<&'static Comuna> {
    COMUNAS.binary_search_by(|it| it.code.cmp(code)).ok().map(|place| &COMUNAS[place])
}

/// Name of the comuna with this CUT code, or the code itself where there is none.
#[must_use]
pub fn name(code: &str) -> &str {
    by_code(code).map_or(code, |it| it.name)
}

/// The region with this two-digit code.
#[must_use]
pub fn region(code: &str) -> Option<&'static Region> {
    REGIONS.iter().find(|it| it.code == code)
}

/// The regions, north to south, each with its comunas by name: what lists offer.
#[must_use]
pub fn by_region() -> &'static [(&'static Region, Vec<&'static Comuna>)] {
    static OFFERED: LazyLock<Vec<(&'static Region, Vec<&'static Comuna>)>> = LazyLock::new(|| {
        let within = |region: &'static Region| {
            let mut found: Vec<_> = all().iter().filter(|it| it.region == region).collect();
            found.sort_by_cached_key(|it| fold(it.name));
            (region, found)
        };
        REGIONS.iter().map(within).collect()
    });
    &OFFERED
}

/// The comuna that `text` names: without regard to case and accents, by another
/// usual spelling, with "comuna de" before or the region after a comma, or by its code.
#[must_use]
pub fn find(text: &str) -> Option<&'static Comuna> {
    let name = text.split([',', '(']).next().unwrap_or(text);
    let folded = fold(name);
    let name = folded.strip_prefix("comuna de ").unwrap_or(&folded);
    if let Some(found) = BY_NAME.get(name) {
        return Some(found);
    }
    if name.len() <= 5 && name.bytes().all(|it| it.is_ascii_digit()) {
        return by_code(&format!("{name:0>5}"));
    }
    let (first, rest) = name.split_once(' ')?;
    let whole = match first {
        "pto" => "puerto",
        "sn" | "s" => "san",
        "sta" => "santa",
        "sto" => "santo",
        "gral" => "general",
        "isla" => return BY_NAME.get(rest).copied(),
        _ => return None,
    };
    BY_NAME.get(&format!("{whole} {rest}")).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_346_comunas_in_16_regions_and_56_provinces() {
        assert_eq!(all().len(), 346);
        assert_eq!(REGIONS.len(), 16);
        assert!(all().is_sorted_by(|a, b| a.code < b.code));
        let provinces: std::collections::HashSet<_> = all().iter().map(|it| &it.code[..3]).collect();
        assert_eq!(provinces.len(), 56);
        let of = |code: &str| by_region().iter().find(|it| it.0.code == code).map_or(0, |it| it.1.len());
        assert_eq!((of("10"), of("13"), of("16")), (30, 52, 21));
        assert_eq!(by_region().iter().map(|it| it.1.len()).sum::<usize>(), 346);
    }

    #[test]
    fn names_are_unique_so_that_a_name_is_enough() {
        let names: std::collections::HashSet<_> = all().iter().map(|it| fold(it.name)).collect();
        assert_eq!(names.len(), 346);
    }

    #[test]
    fn codes_are_those_of_the_decree() {
        for (code, name) in [
            ("01101", "Iquique"),
            ("05502", "La Calera"),
            ("10101", "Puerto Montt"),
            ("11302", "O'Higgins"),
            ("13101", "Santiago"),
            ("16102", "Bulnes"),
            ("16107", "Quillón"),
            ("16207", "Treguaco"),
            ("16302", "Coihueco"),
            ("12202", "Antártica"),
        ] {
            assert_eq!(by_code(code).map(|it| it.name), Some(name));
        }
        assert_eq!(by_code("99999"), None);
        assert_eq!(name("10101"), "Puerto Montt");
        assert_eq!(by_code("10301").unwrap().region.name, "Los Lagos");
    }

    #[test]
    fn a_comuna_is_found_however_it_is_spelt() {
        for (text, name) in [
            ("puerto montt", "Puerto Montt"),
            ("PTO. MONTT", "Puerto Montt"),
            ("Nunoa", "Ñuñoa"),
            ("  Curaco de  Velez ", "Curaco de Vélez"),
            ("La Calera", "La Calera"),
            ("Calera", "La Calera"),
            ("Llay-Llay", "Llaillay"),
            ("Llaillay", "Llaillay"),
            ("Marchigüe", "Marchihue"),
            ("Coihaique", "Coyhaique"),
            ("Aisén", "Aysén"),
            ("Ohiggins", "O'Higgins"),
            ("Trehuaco", "Treguaco"),
            ("Treguaco", "Treguaco"),
            ("Osorno, Los Lagos", "Osorno"),
            ("Comuna de Ancud", "Ancud"),
            ("1101", "Iquique"),
            ("10101", "Puerto Montt"),
            ("Sta. Bárbara", "Santa Bárbara"),
            ("Puerto Natales", "Natales"),
            ("Paiguano", "Paihuano"),
        ] {
            assert_eq!(find(text).map(|it| it.name), Some(name), "{text}");
        }
        for text in ["", "Gotham", "99999", "Puerto", "Región de Los Lagos", "pto inventado"] {
            assert_eq!(find(text), None, "{text}");
        }
    }

    #[test]
    fn every_alias_leads_somewhere() {
        for (alias, code) in ALIASES {
            assert_eq!(fold(alias), *alias);
            assert!(by_code(code).is_some(), "{alias}");
        }
        assert_eq!(find("trehuaco").map(|it| it.code), Some("16207"));
    }
}
