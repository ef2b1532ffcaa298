//! A letter put together from ready blocks: what each holds, what is wrong with it,
//! and the MJML that they make together.

use super::plain_text;
use crate::{codes::codes, error::FieldError};

codes! {
    /// What a block is.
    BlockKind {
        /// A line in large letters.
        Title = "TITLE", "Título";
        /// Paragraphs.
        Text = "TEXT", "Texto";
        /// A link that looks like a button.
        Button = "BUTTON", "Botón";
        /// A picture that is on the internet.
        Image = "IMAGE", "Imagen";
        /// A line across.
        Divider = "DIVIDER", "Línea divisoria";
        /// Two texts side by side; on a telephone one below the other.
        Columns = "COLUMNS", "Dos columnas";
    }
}

/// A block. What a field holds depends on the kind; those that it has no use for are empty.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Its words; of a picture, what it shows; of two columns, the left one.
    #[serde(default)]
    pub text: String,
    /// Where a button leads; where a picture is.
    #[serde(default)]
    pub link: String,
    /// Where a picture leads; of two columns, the right one.
    #[serde(default)]
    pub other: String,
}

impl Block {
    /// One without words yet.
    #[must_use]
    pub fn new(kind: BlockKind) -> Block {
        Block { kind, text: String::new(), link: String::new(), other: String::new() }
    }

    /// Whether nobody has written anything in it yet.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.texts().all(|it| it.trim().is_empty())
    }

    /// Its texts, for whoever looks at their tags.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.text, &self.link, &self.other].into_iter().map(String::as_str)
    }

    /// What is wrong with it, in Spanish.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let lacks = |text: &str| text.trim().is_empty();
        match self.kind {
            BlockKind::Title | BlockKind::Text if lacks(&self.text) => {
                found.push("está vacío: escríbelo o quítalo.".to_owned());
            }
            BlockKind::Divider | BlockKind::Title | BlockKind::Text => {}
            BlockKind::Columns => match (lacks(&self.text), lacks(&self.other)) {
                (true, true) => found.push("falta el texto de las dos columnas.".to_owned()),
                (false, false) => {}
                _ => found.push("falta el texto de una de las dos columnas.".to_owned()),
            },
            BlockKind::Button => {
                if lacks(&self.text) {
                    found.push("escribe qué dice el botón.".to_owned());
                }
                if !leads_somewhere(&self.link) {
                    found.push(format!("escribe a dónde lleva: {ADDRESS}"));
                }
            }
            BlockKind::Image => {
                if !self.link.trim().starts_with("https://") {
                    found.push(
                        "escribe dónde está la imagen: una dirección que empieza con https://.".to_owned(),
                    );
                }
                if lacks(&self.text) {
                    found
                        .push("describe qué muestra la imagen: es lo que leen quienes no la ven.".to_owned());
                }
                if !lacks(&self.other) && !leads_somewhere(&self.other) {
                    found.push(format!("revisa a dónde lleva: {ADDRESS}"));
                }
            }
        }
        found
    }
}

const ADDRESS: &str = "una dirección que empieza con https://, mailto: o tel:, o una variable de enlace.";

/// Whether `link` is an address that a reader may follow.
fn leads_somewhere(link: &str) -> bool {
    let link = link.trim();
    ["https://", "http://", "mailto:", "tel:"].iter().any(|it| link.len() > it.len() && link.starts_with(it))
        || link.strip_prefix("{{").is_some_and(|it| {
            let name = it.trim_start();
            ["business_website", "unsubscribe_url", "preferences_url"].iter().any(|it| name.starts_with(it))
        })
}

/// The blocks as kept.
#[must_use]
pub fn write(blocks: &[Block]) -> String {
    serde_json::to_string(blocks).unwrap_or_default()
}

/// The blocks that were kept; none where it is something else.
#[must_use]
pub fn read(body: &str) -> Vec<Block> {
    serde_json::from_str(body).unwrap_or_default()
}

/// What is wrong, each with its block.
#[must_use]
pub fn problems(blocks: &[Block]) -> Vec<FieldError> {
    let each = blocks
        .iter()
        .enumerate()
        .flat_map(|(place, it)| it.problems().into_iter().map(move |said| fault(place, it, &said)));
    each.collect()
}

/// `said` of the block at `place`, which is named in it for whoever sees no blocks.
#[must_use]
pub fn fault(place: usize, block: &Block, said: &str) -> FieldError {
    let kind = block.kind.label().to_lowercase();
    FieldError::new("body", format!("Bloque {} ({kind}): {said}", place + 1)).of_part(place)
}

/// The MJML that the blocks make.
#[must_use]
pub fn mjml(blocks: &[Block]) -> String {
    let mut out = String::from(
        "<mjml lang=\"es-CL\"><mj-head><mj-attributes>\
         <mj-all font-family=\"Arial, Helvetica, sans-serif\" />\
         <mj-text font-size=\"16px\" line-height=\"24px\" color=\"#222222\" padding=\"4px 24px\" />\
         <mj-section padding=\"8px 0\" />\
         <mj-button background-color=\"#0f5f66\" color=\"#ffffff\" font-size=\"16px\" font-weight=\"bold\" inner-padding=\"14px 24px\" border-radius=\"6px\" />\
         <mj-divider border-width=\"1px\" border-color=\"#d5dadd\" padding=\"8px 24px\" />\
         </mj-attributes></mj-head><mj-body background-color=\"#ffffff\">\n",
    );
    for block in blocks {
        out.push_str("<mj-section>");
        column(block, &mut out);
        out.push_str("</mj-section>\n");
    }
    out.push_str("</mj-body></mjml>\n");
    out
}

fn column(block: &Block, out: &mut String) {
    let inside = match block.kind {
        BlockKind::Title => format!(
            "<mj-text font-size=\"26px\" line-height=\"32px\" font-weight=\"bold\"><h1 style=\"margin:0;font-size:26px;line-height:32px\">{}</h1></mj-text>",
            plain_text::escaped(block.text.trim())
        ),
        BlockKind::Text => text(&block.text),
        BlockKind::Button => format!(
            "<mj-button href=\"{}\">{}</mj-button>",
            plain_text::escaped(block.link.trim()),
            plain_text::escaped(block.text.trim())
        ),
        BlockKind::Image => {
            let leads = match block.other.trim() {
                "" => String::new(),
                link => format!(" href=\"{}\"", plain_text::escaped(link)),
            };
            format!(
                "<mj-image src=\"{}\" alt=\"{}\" padding=\"0 24px\"{leads} />",
                plain_text::escaped(block.link.trim()),
                plain_text::escaped(block.text.trim())
            )
        }
        BlockKind::Divider => "<mj-divider />".to_owned(),
        BlockKind::Columns => {
            for side in [&block.text, &block.other] {
                for part in ["<mj-column>", &text(side), "</mj-column>"] {
                    out.push_str(part);
                }
            }
            return;
        }
    };
    for part in ["<mj-column>", &inside, "</mj-column>"] {
        out.push_str(part);
    }
}

fn text(text: &str) -> String {
    format!("<mj-text>{}</mj-text>", plain_text::to_html(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::mjml;

    fn block(kind: BlockKind, text: &str, link: &str, other: &str) -> Block {
        Block { kind, text: text.into(), link: link.into(), other: other.into() }
    }

    fn all() -> Vec<Block> {
        vec![
            block(BlockKind::Title, "Hola {{ first_name | default(\"a < b\") }} <b>", "", ""),
            block(BlockKind::Text, "Uno & dos\n\nMira https://a.cl/x", "", ""),
            block(BlockKind::Button, "Reservar \"ya\"", "https://a.cl/?a=1&b={{ company }}", ""),
            block(BlockKind::Image, "Las tinas \"del\" bosque", "https://a.cl/tinas.jpg", "https://a.cl"),
            Block::new(BlockKind::Divider),
            block(BlockKind::Columns, "Izquierda", "", "Derecha"),
        ]
    }

    #[test]
    fn what_was_kept_is_read_back() {
        assert_eq!(read(&write(&all())), all());
        assert_eq!(read("Hola"), []);
    }

    #[test]
    fn blocks_become_a_letter_with_what_was_typed_escaped() {
        let it = mjml::made(&super::mjml(&all())).unwrap();
        for part in [
            "Hola {{ first_name | default(\"a < b\") }} &lt;b&gt;",
            "Uno &amp; dos",
            "<a href=\"https://a.cl/x\">",
            "https://a.cl/?a=1&amp;b={{ (company) | urlencode }}",
            "Reservar &quot;ya&quot;",
            "alt=\"Las tinas &quot;del&quot; bosque\"",
            "Izquierda",
            "Derecha",
        ] {
            assert!(it.html.contains(part), "{part}: {}", it.html);
        }
        let lines: Vec<&str> = it.plain.lines().filter(|it| !it.trim().is_empty()).collect();
        assert_eq!(
            lines,
            [
                "Hola {{ first_name | default(\"a < b\") }} <b>",
                "Uno & dos",
                "Mira https://a.cl/x",
                "Reservar \"ya\" (https://a.cl/?a=1&b={{ (company) | urlencode }})",
                "Las tinas \"del\" bosque (https://a.cl)",
                "Izquierda",
                "Derecha",
            ]
        );
    }

    #[test]
    fn a_block_that_lacks_something_is_named() {
        let check = |block: Block, part: &str| {
            let found = problems(&[Block::new(BlockKind::Divider), block]);
            assert!(
                found.iter().any(|it| it.message.starts_with("Bloque 2 (") && it.message.contains(part)),
                "{part}: {found:?}"
            );
            assert!(found.iter().all(|it| it.part == Some(1)), "{found:?}");
        };
        check(block(BlockKind::Text, " ", "", ""), "está vacío");
        check(block(BlockKind::Button, "Ver", "javascript:alert(1)", ""), "a dónde lleva");
        check(block(BlockKind::Button, "Ver", "{{ company }}", ""), "a dónde lleva");
        check(block(BlockKind::Image, "", "https://a.cl/x.png", ""), "describe qué muestra");
        check(block(BlockKind::Image, "x", "http://a.cl/x.png", ""), "dónde está la imagen");
        check(block(BlockKind::Columns, "x", "", ""), "una de las dos columnas");
        check(block(BlockKind::Columns, "", "", ""), "falta el texto de las dos columnas");
        assert_eq!(problems(&all()), []);
        assert_eq!(problems(&[block(BlockKind::Button, "Ver", "{{ business_website }}", "")]), []);
    }
}
