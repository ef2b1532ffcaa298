//! The texts of one run: each version looked up and compiled once, as its campaign wants it.

use super::{template::Compiled, tracking::targets, versions};
use crate::{db::Tx, error::Result, ids::TemplateId};
use std::{collections::HashMap, sync::Arc};

/// A compiled text, or why it is broken.
#[derive(Clone)]
pub(super) struct Text(pub(super) std::result::Result<Arc<Prepared>, String>);

/// A text with what it can't do without.
pub(super) struct Prepared {
    pub(super) compiled: Compiled,
    pub(super) required: Vec<&'static str>,
}

/// Those of one run.
#[derive(Default)]
pub(super) struct Texts(HashMap<(TemplateId, bool), Text>);

impl Texts {
    /// The version `id`; `tracks`: its links led over us, their targets written down first.
    pub(super) async fn get(&mut self, tx: &mut Tx<'_>, id: TemplateId, tracks: bool) -> Result<Text> {
        if let Some(text) = self.0.get(&(id, tracks)) {
            return Ok(text.clone());
        }
        let kept = versions::kept(tx, id).await?;
        let compiled = if tracks {
            let numbers = targets::number(tx, id, &kept.targets()).await?;
            kept.compile_tracked(|target| numbers.get(target).copied())
        } else {
            kept.compile()
        };
        let text = Text(match compiled {
            Ok(compiled) => {
                let required = compiled.required();
                Ok(Arc::new(Prepared { compiled, required }))
            }
            Err(problems) => Err(problems.into_iter().map(|it| it.message).collect::<Vec<_>>().join(" ")),
        });
        self.0.insert((id, tracks), text.clone());
        Ok(text)
    }
}
