//! What a row comes to once it is judged. Pure.

use super::Happened;
use chrono::NaiveDate;

/// Why a row stays out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Header of the column, empty where it is about the row.
    pub column: String,
    /// What stood there.
    pub value: String,
    /// What is wrong, in Spanish.
    pub reason: String,
}

/// A row as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Name of the company.
    pub company_name: Option<String>,
    /// Its key.
    pub company_key: Option<String>,
    /// Its RUT, as stored.
    pub rut: Option<String>,
    /// Its trade.
    pub industry: Option<String>,
    /// Given names.
    pub first_name: Option<String>,
    /// Family names.
    pub last_name: Option<String>,
    /// Address, normalised.
    pub email: Option<String>,
    /// Telephone, E.164.
    pub phone: Option<String>,
    /// Job.
    pub job_title: Option<String>,
    /// Date of birth.
    pub birth_date: Option<NaiveDate>,
    /// CUT code.
    pub comuna: Option<&'static str>,
    /// Street and number.
    pub address: Option<String>,
    /// Web site.
    pub website: Option<String>,
    /// Notes.
    pub notes: Option<String>,
    /// Code of the source.
    pub source: Option<&'static str>,
    /// What the person is interested in, each once, as written.
    pub interests: Vec<String>,
    /// Code of the stage of the relationship.
    pub lifecycle: Option<&'static str>,
    /// Who of the team looks after the person, as written.
    pub owner: Option<String>,
    /// Whether the person agrees, where the file says it.
    pub accepts: Option<bool>,
    /// What happened, in a file of history.
    pub happened: Option<Happened>,
    /// What was dropped, in Spanish.
    pub warning: Option<String>,
    /// Columns of what was dropped, by their place in the file.
    pub doubted: Vec<usize>,
    /// Faults, the first decisive; none: the row is good.
    pub rejections: Vec<Rejection>,
}

impl Checked {
    pub(super) fn reject(&mut self, column: &str, value: &str, reason: &str) {
        self.rejections.push(Rejection {
            column: column.to_owned(),
            value: value.chars().take(500).collect(),
            reason: reason.to_owned(),
        });
    }

    pub(super) fn warn(&mut self, sentence: &str) {
        match &mut self.warning {
            None => self.warning = Some(sentence.to_owned()),
            Some(known) => {
                known.push_str(". ");
                known.push_str(sentence);
            }
        }
    }
}
