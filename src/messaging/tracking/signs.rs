//! Whether a person or a machine opened a message or followed its link: all rules in one place. Pure. When in doubt it
//! was a person's program, but what happens to many at once, or before anybody could have, was not.
//!
//! - Apple's Mail Privacy Protection loads the pictures of every message, read or not, and calls itself exactly
//!   `Mozilla/5.0` (wordtothewise.com/2021/09/apple-mpp; what else Apple's programs send is longer).
//! - Gmail loads pictures ahead for whoever has it open, as a Chrome 42 in an Edge 12 that nobody uses any more
//!   (bird.com/en-gb/blog/gmail-prefetching-images). Its `GoogleImageProxy`, and Yahoo's `YahooMailProxy`, load them
//!   when the person looks: those are people.
//! - Browsers and programs that load ahead say so: `Sec-Purpose` (Fetch, section "Sec-Purpose header"), before it
//!   `Purpose`, `X-Purpose` and `X-Moz`.
//! - Gateways follow all links of a message as it arrives, as any browser, often before they deliver it
//!   (mautic#9162, gophish#973, #2115, #2446, listmonk#2400): what tells them is the moment, and that they follow many.

use crate::codes::codes;
use chrono::{DateTime, TimeDelta, Utc};

codes! {
    /// What shows that it was a machine.
    Sign {
        /// Loaded ahead of anybody looking.
        Prefetch = "PREFETCH", "Se cargó por adelantado, antes de que alguien mirara";
        /// Apple loads everything, read or not.
        ApplePrivacy = "APPLE_PRIVACY", "Lo cargó la protección de privacidad de Apple Mail, que carga todo";
        /// It says itself that it is a program.
        Robot = "ROBOT", "Lo pidió un programa que analiza correos o enlaces";
        /// Sooner than a person could.
        TooSoon = "TOO_SOON", "Ocurrió a segundos de la entrega";
        /// Several links at once.
        ManyAtOnce = "MANY_AT_ONCE", "Siguió varios enlaces a la vez";
    }
}

/// Nobody reads a message so soon after it arrived.
const SOON: TimeDelta = TimeDelta::seconds(5);

/// So many links of one message, within this time, are not followed by hand.
const MANY: (usize, TimeDelta) = (3, TimeDelta::seconds(5));

/// How long a hit waits to be judged, so that what belongs to it is there.
pub const PATIENCE: TimeDelta = TimeDelta::seconds(10);

/// Whoever followed a link of a message this lately may be in the middle of following many.
pub const UNDER_WAY: TimeDelta = MANY.1;

/// How long the hits of a message wait for its links to come to rest, at most.
pub const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(1);

/// The program that Gmail loads ahead with.
const GMAIL_AHEAD: &str = "chrome/42.0.2311.135 safari/537.36 edge/12.246";

/// Words by which programs name themselves. Libraries of mail programs on telephones (`okhttp`, `dalvik`) are people's.
const ROBOTS: &[&str] = &[
    "crawler",
    "spider",
    "scanner",
    "headless",
    "phantomjs",
    "curl/",
    "wget/",
    "python",
    "aiohttp",
    "httpx",
    "go-http-client",
    "java/",
    "libwww",
    "lwp::",
    "node-fetch",
    "axios/",
    "guzzle",
    "urlcheck",
    "linkcheck",
    "barracuda",
    "proofpoint",
    "mimecast",
    "bitdefender",
    "trendmicro",
    "sophos",
    "fortinet",
    "ironport",
    "symantec",
    "messagelabs",
    "safelinks",
    "skypeuripreview",
    "facebookexternalhit",
    "whatsapp/",
    "embedly",
    "google-safety",
    "googleother",
    "bingpreview",
    "ms-office-preview",
    "monitor",
    "pingdom",
];

/// What a request shows of a machine by itself; none: nothing. `header` gives the value of a header by its name.
#[must_use]
pub fn of_request<'a>(is_picture: bool, header: impl Fn(&str) -> Option<&'a str>) -> Option<Sign> {
    let says = |name: &str, words: &[&str]| {
        let value = header(name).unwrap_or_default().to_ascii_lowercase();
        words.iter().any(|it| value.contains(it))
    };
    let ahead = ["prefetch", "prerender", "preview"];
    if ["sec-purpose", "purpose", "x-purpose", "x-moz"].iter().any(|name| says(name, &ahead)) {
        return Some(Sign::Prefetch);
    }
    let program = header("user-agent").unwrap_or_default().trim().to_ascii_lowercase();
    match program.as_str() {
        "mozilla/5.0" if is_picture => return Some(Sign::ApplePrivacy),
        "" | "mozilla/5.0" | "mozilla/4.0" => return Some(Sign::Robot),
        _ => (),
    }
    if program.contains("googleimageproxy") || program.contains("yahoomailproxy") {
        return None;
    }
    if program.contains(GMAIL_AHEAD) {
        return Some(Sign::Prefetch);
    }
    (names_a_bot(&program) || ROBOTS.iter().any(|it| program.contains(it))).then_some(Sign::Robot)
}

/// `Googlebot/2.1`, `Twitterbot`, `bot@…`; but not a telephone of the maker Cubot.
fn names_a_bot(program: &str) -> bool {
    program.match_indices("bot").any(|(at, _)| {
        !program[..at].ends_with("cu") && !program[at + 3..].starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

/// One opening or click, as it was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Number of the link; none: the picture.
    pub link: Option<i32>,
    /// What the request showed.
    pub sign: Option<Sign>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What shows of each of the hits of one message, which arrived at `arrived`, that it was a machine; none: a person.
#[must_use]
pub fn judge(hits: &[Hit], arrived: DateTime<Utc>) -> Vec<Option<Sign>> {
    hits.iter()
        .map(|hit| {
            if hit.sign.is_some() {
                return hit.sign;
            }
            if hit.at < arrived + SOON {
                return Some(Sign::TooSoon);
            }
            (hit.link.is_some() && is_one_of_many(hits, hit.at)).then_some(Sign::ManyAtOnce)
        })
        .collect()
}

/// Whether at `at` a machine went through the links: within some window that holds it lie too many of them.
fn is_one_of_many(hits: &[Hit], at: DateTime<Utc>) -> bool {
    let (most, window) = MANY;
    hits.iter().filter(|first| first.link.is_some() && first.at <= at && at - first.at <= window).any(
        |first| {
            let within = hits.iter().filter(|it| it.at >= first.at && it.at - first.at <= window);
            let mut links: Vec<i32> = within.filter_map(|it| it.link).collect();
            links.sort_unstable();
            links.dedup();
            links.len() >= most
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(is_picture: bool, headers: &[(&str, &str)]) -> Option<Sign> {
        of_request(is_picture, |name| headers.iter().find(|it| it.0 == name).map(|it| it.1))
    }

    #[test]
    fn programs_are_told_from_people_by_what_they_say() {
        let check = |is_picture, program: &str, sign| {
            assert_eq!(request(is_picture, &[("user-agent", program)]), sign, "{program}");
        };
        check(true, "Mozilla/5.0", Some(Sign::ApplePrivacy));
        check(false, "Mozilla/5.0", Some(Sign::Robot));
        check(true, "", Some(Sign::Robot));
        check(
            true,
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            None,
        );
        check(true, "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", None);
        check(
            true,
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
            Some(Sign::Prefetch),
        );
        for robot in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "curl/8.5.0",
            "python-requests/2.32",
            "Go-http-client/2.0",
            "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/130.0.0.0 Safari/537.36",
            "WhatsApp/2.23.20.0",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "BarracudaCentral/1.0",
        ] {
            check(false, robot, Some(Sign::Robot));
        }
        for person in [
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/5.0 (Linux; Android 13; CUBOT X70) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
            "Dalvik/2.1.0 (Linux; U; Android 14)",
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
        ] {
            check(true, person, None);
            check(false, person, None);
        }
    }

    #[test]
    fn what_is_loaded_ahead_says_so() {
        let chrome = ("user-agent", "Mozilla/5.0 (Windows NT 10.0) Chrome/130.0.0.0 Safari/537.36");
        for header in [
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "Prefetch"),
            ("x-moz", "prefetch"),
            ("x-purpose", "preview"),
        ] {
            assert_eq!(request(false, &[chrome, header]), Some(Sign::Prefetch), "{header:?}");
        }
        assert_eq!(request(false, &[chrome, ("sec-fetch-mode", "navigate")]), None);
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn click(link: i32, second: i64) -> Hit {
        Hit { link: Some(link), sign: None, at: at(second) }
    }

    fn open(second: i64) -> Hit {
        Hit { link: None, sign: None, at: at(second) }
    }

    #[test]
    fn what_happens_as_it_arrives_or_before_is_no_person() {
        let hits = [open(-30), open(4), open(5), click(1, 3), click(1, 60)];
        let soon = Some(Sign::TooSoon);
        assert_eq!(judge(&hits, at(0)), [soon, soon, None, soon, None]);
    }

    #[test]
    fn many_links_at_once_are_no_person_but_what_comes_later_is() {
        let many = Some(Sign::ManyAtOnce);
        let hits = [click(1, 100), click(2, 101), click(3, 105), click(4, 106), open(103), click(2, 400)];
        assert_eq!(judge(&hits, at(0)), [many, many, many, many, None, None]);
        // Two links, or one again and again, are impatience.
        assert_eq!(judge(&[click(1, 100), click(2, 101), click(1, 101), click(1, 102)], at(0)), [None; 4]);
        // In either order.
        assert_eq!(judge(&[click(3, 102), click(1, 100), click(2, 101)], at(0)), [many; 3]);
        assert_eq!(judge(&[click(1, 100), click(2, 104), click(3, 108)], at(0)), [None; 3]);
    }

    #[test]
    fn what_the_request_showed_stays() {
        let hit = Hit { sign: Some(Sign::Robot), ..click(1, 2) };
        assert_eq!(judge(&[hit], at(0)), [Some(Sign::Robot)]);
    }
}
