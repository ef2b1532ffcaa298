//! How tall the frame of a letter is.

/// The class that tells how tall the frame of a letter is; none: as tall as there is room for. Nothing in it
/// may run, so that nobody can measure the letter: its text tells about how long it is, and a
/// frame that is too low scrolls.
pub(super) fn height(plain: &str, html: &str) -> String {
    /// Letters of a line, as wide as most letters are.
    const LINE: usize = 80;
    // In quarters: a line takes one and a half, the gap between two paragraphs half of that.
    let quarters = |it: &str| if it.trim().is_empty() { 3 } else { 6 * (1 + it.chars().count() / LINE) };
    let text: usize = plain.lines().map(quarters).sum();
    let pictures = html.matches("<img").count() * 60;
    // What MJML makes has air around each column.
    let columns = html.matches("mj-outlook-group-fix mj-column").count() * 8;
    // And the edges four; app.css has every fourth step.
    let needed = 4 + (text + pictures + columns) / 4;
    match needed.div_ceil(4) * 4 {
        low @ 0..=56 => format!("tall-{}", low.max(16)),
        _ => String::new(),
    }
}
