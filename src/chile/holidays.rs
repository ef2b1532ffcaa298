//! Chile's public holidays, computed from the laws that set them, and corrected
//! by hand where a law is newer than this program or the business decides otherwise.
//!
//! Regional holidays and election days are not computed: they are corrections.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, Weekday};
use std::collections::BTreeMap;

/// A day that differs from the computed calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The local day.
    pub day: NaiveDate,
    /// Why, as shown.
    pub name: String,
    /// True: a day off that is not computed. False: a computed one that is worked.
    pub closed: bool,
}

/// The public holidays, with the business's corrections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    corrections: BTreeMap<NaiveDate, Correction>,
}

impl Calendar {
    /// The computed calendar with `corrections`; of two for one day the last holds.
    #[must_use]
    pub fn new(corrections: impl IntoIterator<Item = Correction>) -> Calendar {
        Calendar { corrections: corrections.into_iter().map(|it| (it.day, it)).collect() }
    }

    /// Name of the holiday on `day`, where it is one.
    #[must_use]
    pub fn holiday(&self, day: NaiveDate) -> Option<&str> {
        match self.corrections.get(&day) {
            Some(correction) => correction.closed.then_some(correction.name.as_str()),
            None => by_law(day),
        }
    }

    /// Every holiday of `year`, in order.
    #[must_use]
    pub fn of_year(&self, year: i32) -> Vec<(NaiveDate, &str)> {
        let Some(first) = NaiveDate::from_ymd_opt(year, 1, 1) else { return Vec::new() };
        first
            .iter_days()
            .take_while(|day| day.year() == year)
            .filter_map(|day| Some((day, self.holiday(day)?)))
            .collect()
    }
}

/// The holiday that the law puts on `day`, from 1990 on.
#[must_use]
pub fn by_law(day: NaiveDate) -> Option<&'static str> {
    fixed(day)
        .or_else(|| easter_bound(day))
        .or_else(|| moved(day))
        .or_else(|| bridges(day))
        .or_else(|| once(day))
}

/// Holidays with a date of their own.
fn fixed(day: NaiveDate) -> Option<&'static str> {
    let year = day.year();
    Some(match (day.month(), day.day()) {
        (1, 1) => "Año Nuevo",
        (5, 1) => "Día del Trabajo",
        (5, 21) => "Día de las Glorias Navales",
        // Ley 20.148.
        (7, 16) if year >= 2007 => "Virgen del Carmen",
        (8, 15) => "Asunción de la Virgen",
        // Until Ley 19.588.
        (9, 11) if year <= 1998 => "11 de septiembre",
        (9, 18) => "Independencia Nacional",
        (9, 19) => "Día de las Glorias del Ejército",
        (11, 1) => "Día de Todos los Santos",
        (12, 8) => "Inmaculada Concepción",
        (12, 25) => "Navidad",
        (6, 20 | 21) if year >= 2021 && day == winter_solstice(year)? => "Día de los Pueblos Indígenas",
        _ => return None,
    })
}

/// Holidays that follow Easter.
fn easter_bound(day: NaiveDate) -> Option<&'static str> {
    let year = day.year();
    match (day - easter(year)?).num_days() {
        -2 => Some("Viernes Santo"),
        -1 => Some("Sábado Santo"),
        // Thursday; from 2000 the Monday of that week (Ley 19.668); abolished by Ley 20.148.
        60 if year < 2000 => Some("Corpus Christi"),
        57 if (2000..2007).contains(&year) => Some("Corpus Christi"),
        _ => None,
    }
}

/// Holidays that the law moves to make a long weekend.
fn moved(day: NaiveDate) -> Option<&'static str> {
    let year = day.year();
    let on = |month, date| NaiveDate::from_ymd_opt(year, month, date);
    if Some(day) == on(6, 29).map(to_monday) {
        return Some("San Pedro y San Pablo");
    }
    if Some(day) == on(10, 12).map(to_monday) {
        return Some("Encuentro de Dos Mundos");
    }
    if year >= 2008 && Some(day) == on(10, 31).map(to_friday) {
        return Some("Día de las Iglesias Evangélicas y Protestantes");
    }
    // Ley 19.588: first Monday of September, three years long.
    if (1999..=2001).contains(&year) && day.month() == 9 && day.day() <= 7 && day.weekday() == Weekday::Mon {
        return Some("Día de la Unidad Nacional");
    }
    None
}

/// Ley 19.668, from 2000 on: Tuesday to Thursday goes to the Monday before,
/// Friday to the Monday after.
fn to_monday(day: NaiveDate) -> NaiveDate {
    if day.year() < 2000 {
        return day;
    }
    match day.weekday() {
        Weekday::Tue => day - Days::new(1),
        Weekday::Wed => day - Days::new(2),
        Weekday::Thu => day - Days::new(3),
        Weekday::Fri => day + Days::new(3),
        _ => day,
    }
}

/// Ley 20.299: Tuesday goes to the Friday before, Wednesday to the Friday after.
fn to_friday(day: NaiveDate) -> NaiveDate {
    match day.weekday() {
        Weekday::Tue => day - Days::new(4),
        Weekday::Wed => day + Days::new(2),
        _ => day,
    }
}

/// Days between a holiday and a weekend.
fn bridges(day: NaiveDate) -> Option<&'static str> {
    let year = day.year();
    match (day.month(), day.day(), day.weekday()) {
        // Ley 20.983.
        (1, 2, Weekday::Mon) if year >= 2017 => Some("Feriado adicional de Año Nuevo"),
        (9, 17, Weekday::Fri) if year >= 2017 => Some("Feriado adicional de Fiestas Patrias"),
        // Ley 20.215.
        (9, 17, Weekday::Mon) | (9, 20, Weekday::Fri) if year >= 2007 => {
            Some("Feriado adicional de Fiestas Patrias")
        }
        _ => None,
    }
}

/// Days that a law made holidays once.
fn once(day: NaiveDate) -> Option<&'static str> {
    Some(match (day.year(), day.month(), day.day()) {
        (1992, 4, 22) | (2002, 4, 24) | (2017, 4, 19) => "Censo nacional",
        // Ley 20.450.
        (2010, 9, 17 | 20) => "Bicentenario",
        // Ley 21.482.
        (2022, 9, 16) => "Feriado adicional de Fiestas Patrias",
        _ => return None,
    })
}

/// Easter Sunday of the Gregorian calendar (anonymous Computus, as in Meeus).
fn easter(year: i32) -> Option<NaiveDate> {
    let (golden, century, of_century) = (year % 19, year / 100, year % 100);
    let epact = (19 * golden + century - century / 4 - (century - (century + 8) / 25 + 1) / 3 + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4) % 7;
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let reckoned = epact + weekday - 7 * late + 114;
    NaiveDate::from_ymd_opt(year, u32::try_from(reckoned / 31).ok()?, u32::try_from(reckoned % 31 + 1).ok()?)
}

/// Ley 21.357: the day of the winter solstice; for 2021 the law itself says the 21st.
fn winter_solstice(year: i32) -> Option<NaiveDate> {
    if year == 2021 {
        return NaiveDate::from_ymd_opt(2021, 6, 21);
    }
    // Jean Meeus, Astronomical Algorithms, chapter 27: June solstice of the years 1000 to 3000.
    let y = f64::from(year - 2000) / 1000.0;
    let mean = 2_451_716.567_67 + y * (365_241.626_03 + y * (0.003_25 + y * (0.008_88 - y * 0.000_30)));
    let t = (mean - 2_451_545.0) / 36_525.0;
    let w = (35_999.373 * t - 2.47).to_radians();
    let stretch = 1.0 + 0.0334 * w.cos() + 0.0007 * (2.0 * w).cos();
    let sum: f64 = SOLSTICE_TERMS.iter().map(|(a, b, c)| a * (b + c * t).to_radians().cos()).sum();
    let julian_day = mean + 0.000_01 * sum / stretch;
    // Terrestrial time runs about 75 s ahead of civil time in this century.
    #[expect(clippy::cast_possible_truncation, reason = "seconds of this century fit an i64 by far")]
    let unix = ((julian_day - 2_440_587.5) * 86_400.0) as i64 - 75;
    // Continental Chile is four hours behind UTC in June.
    let local = DateTime::from_timestamp(unix, 0)? - TimeDelta::hours(4);
    Some(local.date_naive())
}

/// Periodic terms A, B, C of Meeus' table 27.C.
const SOLSTICE_TERMS: [(f64, f64, f64); 24] = [
    (485.0, 324.96, 1_934.136),
    (203.0, 337.23, 32_964.467),
    (199.0, 342.08, 20.186),
    (182.0, 27.85, 445_267.112),
    (156.0, 73.14, 45_036.886),
    (136.0, 171.52, 22_518.443),
    (77.0, 222.54, 65_928.934),
    (74.0, 296.72, 3_034.906),
    (70.0, 243.58, 9_037.513),
    (58.0, 119.81, 33_718.147),
    (52.0, 297.17, 150.678),
    (50.0, 21.02, 2_281.226),
    (45.0, 247.54, 29_929.562),
    (44.0, 325.15, 31_555.956),
    (29.0, 60.93, 4_443.417),
    (18.0, 155.12, 67_555.328),
    (17.0, 288.79, 4_562.452),
    (16.0, 198.04, 62_894.029),
    (14.0, 199.76, 31_436.921),
    (12.0, 95.39, 14_577.848),
    (12.0, 287.11, 31_931.756),
    (12.0, 320.81, 34_777.259),
    (9.0, 227.73, 1_222.114),
    (8.0, 15.45, 16_859.074),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn days(year: i32) -> Vec<String> {
        Calendar::default().of_year(year).iter().map(|(day, _)| day.format("%m-%d").to_string()).collect()
    }

    #[test]
    fn the_calendars_of_2026_and_2027_are_the_official_ones() {
        assert_eq!(
            days(2026),
            [
                "01-01", "04-03", "04-04", "05-01", "05-21", "06-21", "06-29", "07-16", "08-15", "09-18",
                "09-19", "10-12", "10-31", "11-01", "12-08", "12-25",
            ]
        );
        assert_eq!(
            days(2027),
            [
                "01-01", "03-26", "03-27", "05-01", "05-21", "06-21", "06-28", "07-16", "08-15", "09-17",
                "09-18", "09-19", "10-11", "10-31", "11-01", "12-08", "12-25",
            ]
        );
    }

    #[test]
    fn easter_saturday_2026_04_04_is_a_holiday_by_the_labour_code() {
        assert_eq!(by_law(day("2026-04-04")), Some("Sábado Santo"));
        assert_eq!(by_law(day("2026-04-05")), None, "Easter Sunday is a Sunday, not a holiday by law");
    }

    #[test]
    fn the_first_day_of_summer_time_2026_09_06_is_a_plain_sunday() {
        assert_eq!(by_law(day("2026-09-06")), None);
    }

    #[test]
    fn independence_2026_09_18_makes_no_bridge_on_a_friday_under_ley_20_983() {
        assert_eq!(by_law(day("2026-09-18")), Some("Independencia Nacional"));
        assert_eq!(by_law(day("2026-09-17")), None);
        assert_eq!(by_law(day("2026-09-21")), None);
    }

    #[test]
    fn ley_19_668_leaves_2026_10_12_on_its_monday() {
        assert_eq!(by_law(day("2026-10-12")), Some("Encuentro de Dos Mundos"));
    }

    #[test]
    fn ley_19_668_moves_saint_peter_to_2027_06_28() {
        assert_eq!(by_law(day("2027-06-28")), Some("San Pedro y San Pablo"));
        assert_eq!(by_law(day("2027-06-29")), None);
    }

    #[test]
    fn ley_19_668_sends_a_friday_to_the_monday_after() {
        assert_eq!(by_law(day("2018-10-12")), None);
        assert_eq!(by_law(day("2018-10-15")), Some("Encuentro de Dos Mundos"));
        // San Pedro in July: 29 June 2018 was a Friday.
        assert_eq!(by_law(day("2018-07-02")), Some("San Pedro y San Pablo"));
        assert_eq!(by_law(day("1999-06-29")), Some("San Pedro y San Pablo"), "the law starts in 2000");
    }

    #[test]
    fn ley_20_299_moves_the_day_of_evangelical_churches_to_a_friday() {
        assert_eq!(by_law(day("2017-10-27")), Some("Día de las Iglesias Evangélicas y Protestantes"));
        assert_eq!(by_law(day("2018-11-02")), Some("Día de las Iglesias Evangélicas y Protestantes"));
        assert_eq!(by_law(day("2019-10-31")), Some("Día de las Iglesias Evangélicas y Protestantes"));
        assert_eq!(by_law(day("2007-10-31")), None);
    }

    #[test]
    fn ley_20_983_and_ley_20_215_fill_the_gaps() {
        assert_eq!(by_law(day("2017-01-02")), Some("Feriado adicional de Año Nuevo"));
        assert_eq!(by_law(day("2012-01-02")), None);
        assert!(by_law(day("2021-09-17")).is_some());
        assert!(by_law(day("2018-09-17")).is_some());
        assert!(by_law(day("2019-09-20")).is_some());
        assert!(by_law(day("2024-09-20")).is_some());
    }

    #[test]
    fn ley_21_357_follows_the_winter_solstice() {
        let june = |year: i32| winter_solstice(year).unwrap().day();
        let seen: Vec<u32> = (2021..=2029).map(june).collect();
        assert_eq!(seen, [21, 21, 21, 20, 20, 21, 21, 20, 20]);
        assert_eq!(by_law(day("2020-06-20")), None);
        for year in 2022..=2100 {
            assert!((20..=21).contains(&june(year)), "{year}");
        }
    }

    #[test]
    fn corpus_christi_ended_when_ley_20_148_gave_the_virgin_of_carmen() {
        assert_eq!(by_law(day("1999-06-03")), Some("Corpus Christi"));
        assert_eq!(by_law(day("2006-06-12")), Some("Corpus Christi"));
        assert_eq!(by_law(day("2006-07-16")), None);
        assert_eq!(by_law(day("2007-07-16")), Some("Virgen del Carmen"));
    }

    #[test]
    fn easter_is_right_over_the_centuries() {
        for sunday in
            ["1990-04-15", "2000-04-23", "2008-03-23", "2011-04-24", "2038-04-25", "2076-04-19", "2100-03-28"]
        {
            let sunday = day(sunday);
            assert_eq!(easter(sunday.year()), Some(sunday));
        }
    }

    #[test]
    fn corrections_add_and_take_away() {
        let correction =
            |text: &str, name: &str, closed| Correction { day: day(text), name: name.to_owned(), closed };
        let calendar = Calendar::new([
            correction("2026-06-07", "Asalto y Toma del Morro de Arica", true),
            correction("2026-10-12", "Se trabaja", false),
        ]);
        assert_eq!(calendar.holiday(day("2026-06-07")), Some("Asalto y Toma del Morro de Arica"));
        assert_eq!(calendar.holiday(day("2026-10-12")), None);
        assert_eq!(calendar.holiday(day("2026-09-18")), Some("Independencia Nacional"));
        assert_eq!(calendar.of_year(2026).len(), 16);
    }

    #[test]
    fn every_year_of_the_range_has_a_sane_number() {
        for year in 1990..=2100 {
            let count = Calendar::default().of_year(year).len();
            assert!((14..=18).contains(&count), "{year}: {count}");
        }
    }
}
