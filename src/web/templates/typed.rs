//! The editor's form as it was typed, and what its buttons do to the blocks.

use crate::{
    channels::Channel,
    ids::{ContactId, LibraryId},
    messaging::{
        blocks::{self, Block, BlockKind},
        library::{Draft, Kind},
        sms,
        template::{BodyFormat, Source},
        whatsapp::{Category, Named, Registration},
    },
};
use chrono::{DateTime, Utc};

/// The form as it was typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    pub(super) id: Option<LibraryId>,
    /// When the template had last changed, as the form was shown; empty for a new one.
    pub(super) seen: String,
    pub(super) draft: Draft,
    /// The blocks, whatever the format is at the moment.
    pub(super) blocks: Vec<Block>,
    /// The body, whatever the format is at the moment.
    pub(super) body: String,
    pub(super) contact: Option<ContactId>,
    /// The block that the next words go into.
    pub(super) focused: Option<usize>,
    pub(super) act: String,
    /// What Meta knows of it, whatever the channel is.
    pub(super) registration: Registration,
}

impl Typed {
    /// `draft` to be changed.
    pub(super) fn of(draft: Draft) -> Typed {
        let is_blocks = draft.source.body_format == BodyFormat::Blocks;
        Typed {
            blocks: if is_blocks { blocks::read(&draft.source.body) } else { Vec::new() },
            body: if is_blocks { String::new() } else { draft.source.body.clone() },
            registration: draft.source.registration.clone().unwrap_or_default(),
            draft,
            ..Typed::default()
        }
    }

    /// As the browser sends it: the fields of each block follow its kind.
    pub(super) fn read(pairs: Vec<(String, String)>) -> Typed {
        let mut it =
            Typed { draft: Draft { source: Source::default(), ..Draft::default() }, ..Typed::default() };
        for (name, value) in pairs {
            // Browsers send CR LF; the text is kept as it is edited elsewhere.
            let value = value.replace("\r\n", "\n");
            match name.as_str() {
                "id" => it.id = value.parse().ok().map(LibraryId),
                "seen" => it.seen = value,
                "name" => it.draft.name = value,
                "channel" => it.draft.channel = Channel::from_code(&value).unwrap_or(Channel::Email),
                "registered_name" => value.trim().clone_into(&mut it.registration.name),
                "language" => it.registration.language = value,
                "category" => {
                    it.registration.category = Category::from_code(&value).unwrap_or(Category::Marketing);
                }
                "variable" => it.registration.variables.push(Named { name: value, ..Named::default() }),
                "kind" => it.draft.kind = Kind::from_code(&value).unwrap_or(Kind::Personal),
                "subject" => value.trim().clone_into(&mut it.draft.source.subject),
                "body_format" => it.draft.source.body_format = BodyFormat::from_code(&value),
                "body" => it.body = value,
                "footer" => it.draft.source.footer = value,
                "contact_id" => it.contact = value.parse().ok().map(ContactId),
                "act" => it.act = value,
                "block_kind" => it.blocks.extend(BlockKind::from_code(&value).map(Block::new)),
                "ours" | "fallback" | "sample" => {
                    if let Some(last) = it.registration.variables.last_mut() {
                        match name.as_str() {
                            "ours" => last.ours = value,
                            "fallback" => last.fallback = value,
                            _ => last.sample = value,
                        }
                    }
                }
                other => {
                    if let Some(block) = it.blocks.last_mut() {
                        match other {
                            "block_text" => block.text = value,
                            "block_link" => block.link = value,
                            "block_other" => block.other = value,
                            _ => {}
                        }
                    }
                }
            }
        }
        it.settle();
        it
    }

    /// When the template had last changed, as the form was shown.
    pub(super) fn seen(&self) -> Option<DateTime<Utc>> {
        (!self.seen.is_empty()).then(|| self.seen.parse().unwrap_or_default())
    }

    /// Whether nobody has written anything of the message yet.
    pub(super) fn is_unwritten(&self) -> bool {
        let source = &self.draft.source;
        source.subject.is_empty()
            && match source.body_format {
                BodyFormat::Blocks => self.blocks.iter().all(Block::is_blank),
                _ => self.body.trim().is_empty(),
            }
    }

    /// The text as it is looked at while it is written: a block without words yet tells where it stands.
    pub(super) fn looked_at(&self) -> Source {
        let source = self.draft.source.clone();
        if source.body_format != BodyFormat::Blocks {
            return source;
        }
        let all: Vec<Block> = self.blocks.iter().map(standing).collect();
        Source { body: blocks::write(&all), ..source }
    }

    /// Do what the pressed button says.
    pub(super) fn act(&mut self) {
        let (verb, what) = self.act.split_once(':').unwrap_or((&self.act, ""));
        let at = what.parse().ok().filter(|it| *it < self.blocks.len());
        match (verb, at) {
            ("add", _) => {
                self.blocks.extend(BlockKind::from_code(what).map(Block::new));
                self.focused = self.blocks.len().checked_sub(1);
            }
            ("up", Some(at)) if at > 0 => self.blocks.swap(at, at - 1),
            ("down", Some(at)) if at + 1 < self.blocks.len() => self.blocks.swap(at, at + 1),
            ("remove", Some(at)) => drop(self.blocks.remove(at)),
            ("mjml", _) => {
                self.body = blocks::mjml(&self.blocks);
                self.draft.source.body_format = BodyFormat::Mjml;
            }
            ("plain", _) => self.body = sms::without_costly_signs(&self.body),
            ("stop", _) => {
                self.body = format!("{} {}", self.body.trim_end(), sms::STOP).trim_start().to_owned();
            }
            _ => {}
        }
        self.settle();
    }

    /// The text is what its channel and the chosen format say it is.
    fn settle(&mut self) {
        let source = &mut self.draft.source;
        if self.draft.channel != Channel::Email {
            source.subject.clear();
            source.body_format = BodyFormat::Text;
            source.body = self.body.clone();
            source.registration = None;
        }
        match self.draft.channel {
            Channel::Email => {}
            Channel::Sms => return source.footer.clear(),
            Channel::Whatsapp => {
                self.registration = std::mem::take(&mut self.registration).following(&self.body);
                source.registration = Some(self.registration.clone());
                return;
            }
        }
        self.draft.source.body = if self.draft.source.body_format == BodyFormat::Blocks {
            blocks::write(&self.blocks)
        } else {
            self.body.clone()
        };
    }
}

/// `block`, or its name in its place.
fn standing(block: &Block) -> Block {
    if block.kind == BlockKind::Divider || !block.is_blank() {
        return block.clone();
    }
    let kind = if block.kind == BlockKind::Title { BlockKind::Title } else { BlockKind::Text };
    Block { text: format!("({})", block.kind.label().to_lowercase()), ..Block::new(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BlockKind::{Button, Divider, Image, Title};

    fn typed(act: &str) -> Typed {
        let pairs = [
            ("body_format", "BLOCKS"),
            ("block_kind", "TITLE"),
            ("block_text", "Uno"),
            ("block_kind", "BUTTON"),
            ("block_text", "Dos"),
            ("block_link", "https://a.cl"),
            ("block_kind", "DIVIDER"),
            ("act", act),
        ];
        let mut it = Typed::read(pairs.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect());
        it.act();
        it
    }

    #[test]
    fn each_button_does_what_it_says() {
        let check = |act: &str, expected: &[BlockKind]| {
            let it = typed(act);
            assert_eq!(it.blocks.iter().map(|it| it.kind).collect::<Vec<_>>(), expected, "{act}");
            assert_eq!(it.draft.source.body, blocks::write(&it.blocks));
        };
        check("", &[Title, Button, Divider]);
        check("up:1", &[Button, Title, Divider]);
        check("up:0", &[Title, Button, Divider]);
        check("down:0", &[Button, Title, Divider]);
        check("down:2", &[Title, Button, Divider]);
        check("remove:1", &[Title, Divider]);
        check("remove:9", &[Title, Button, Divider]);
        check("add:IMAGE", &[Title, Button, Divider, Image]);
        assert_eq!(typed("up:1").blocks[0].link, "https://a.cl");
    }

    #[test]
    fn a_block_without_words_shows_where_it_stands_and_is_not_wrong_yet() {
        let empty = |pairs: &[(&str, &str)]| {
            Typed::read(pairs.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect())
        };
        let fresh = [
            ("body_format", "BLOCKS"),
            ("block_kind", "TITLE"),
            ("block_kind", "IMAGE"),
            ("block_kind", "DIVIDER"),
        ];
        let it = empty(&fresh);
        let shown = blocks::read(&it.looked_at().body);
        assert_eq!(blocks::problems(&shown), []);
        assert_eq!(shown.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(), ["(título)", "(imagen)", ""]);
        assert!(it.is_unwritten() && !typed("").is_unwritten());
        assert!(!empty(&[&fresh[..], &[("subject", "Hola")]].concat()).is_unwritten());
        let half = empty(&[&fresh[..1], &[("block_kind", "BUTTON"), ("block_text", "Ver")]].concat());
        assert!(
            !blocks::problems(&blocks::read(&half.looked_at().body)).is_empty(),
            "one that was begun is judged"
        );
        assert!(blocks::problems(&blocks::read(&it.draft.source.body)).len() > 1, "and all when it is saved");
    }

    fn written(channel: &str, act: &str) -> Typed {
        let pairs = [
            ("channel", channel),
            ("subject", "Asunto"),
            ("body_format", "HTML"),
            ("body", "Más, {{nombre}}."),
            ("footer", "Pie"),
            ("variable", "nombre"),
            ("ours", "last_name"),
            ("fallback", "vecina"),
            ("sample", "Soto"),
            ("act", act),
        ];
        let mut it = Typed::read(pairs.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect());
        it.act();
        it
    }

    #[test]
    fn a_text_for_telephones_has_what_its_channel_has() {
        let sms = written("SMS", "").draft.source;
        assert_eq!(sms, Source { body: "Más, {{nombre}}.".into(), ..Source::default() });
        let whatsapp = written("WHATSAPP", "").draft.source;
        assert_eq!((whatsapp.subject.as_str(), whatsapp.footer.as_str()), ("", "Pie"));
        let named = &whatsapp.registration.unwrap().variables[0];
        assert_eq!(
            (named.ours.as_str(), named.fallback.as_str(), named.sample.as_str()),
            ("last_name", "vecina", "Soto")
        );
        assert_eq!(written("SMS", "plain").draft.source.body, "Mas, {{nombre}}.");
        assert_eq!(written("SMS", "stop").draft.source.body, format!("Más, {{{{nombre}}}}. {}", sms::STOP));
    }

    #[test]
    fn blocks_go_on_as_mjml() {
        let it = typed("mjml");
        assert_eq!(it.draft.source.body_format, BodyFormat::Mjml);
        assert!(it.draft.source.body.starts_with("<mjml") && it.draft.source.body.contains("https://a.cl"));
    }
}
