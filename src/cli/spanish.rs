//! Makes the command line speak Spanish: the headings, the usage lines and the
//! complaints that the parser would write in English. Knows no command.

use clap::{
    Arg, ArgAction, Command, Error, Id,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::fmt::Write as _;

const TEMPLATE: &str = "{about-with-newline}\nUso: {usage}\n\n{all-args}{after-help}";

/// `command` and everything below it, in Spanish.
pub(super) fn speak(command: Command) -> Command {
    let name = command.get_name().to_owned();
    speak_at(command, &name)
}

fn speak_at(command: Command, path: &str) -> Command {
    let has_commands = command.has_subcommands();
    let usage = usage(&command, path);
    // The parser numbers them only once it runs.
    let places: Vec<Id> = command.get_positionals().map(|it| it.get_id().clone()).collect();
    let mut command = command
        .help_template(TEMPLATE)
        .override_usage(usage)
        .subcommand_help_heading("Órdenes")
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::Help)
                .help("Muestra esta ayuda")
                .display_order(1000),
        )
        .mut_args(|arg| speak_of(arg, &places));
    if has_commands {
        command = command.subcommand_value_name("ORDEN").mut_subcommands(|below| {
            let path = format!("{path} {}", below.get_name());
            speak_at(below, &path)
        });
    }
    command
}

/// An argument under a Spanish heading, with what it takes and what it is by itself told in its own line.
fn speak_of(arg: Arg, places: &[Id]) -> Arg {
    if arg.is_positional() {
        // Else the parser shows them by name.
        let place = places.iter().position(|it| it == arg.get_id()).unwrap_or_default();
        return tell_values(arg.help_heading("Argumentos").display_order(place));
    }
    // What every command takes comes last.
    let is_common = ["format", "version", "help"].contains(&arg.get_id().as_str());
    let arg = arg.help_heading("Opciones");
    let arg = if is_common { arg.display_order(900) } else { arg };
    if arg.get_action().takes_values() { tell_values(arg) } else { arg }
}

fn tell_values(arg: Arg) -> Arg {
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|it| !it.is_hide_set())
        .map(|it| it.get_name().to_owned())
        .collect();
    if !values.is_empty() && !values.iter().all(|it| help.contains(it.as_str())) {
        help = format!("{help}: {}", values.join(", "));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
    if defaults.iter().any(|it| !it.is_empty()) {
        help = format!("{help} [si no se indica: {}]", defaults.join(", "));
    }
    arg.help(help).hide_possible_values(true).hide_default_value(true).hide_env(true)
}

fn usage(command: &Command, path: &str) -> String {
    // Writing to a String never fails.
    let mut usage = path.to_owned();
    let shown =
        |arg: &Arg| arg.get_value_names().map_or_else(|| arg.get_id().to_string(), |names| names.join(" "));
    for arg in command.get_arguments().filter(|it| !it.is_positional() && it.is_required_set()) {
        if let Some(long) = arg.get_long() {
            let _ = write!(usage, " --{long}");
            if arg.get_action().takes_values() {
                let _ = write!(usage, " <{}>", shown(arg));
            }
        }
    }
    usage.push_str(" [OPCIONES]");
    for arg in command.get_positionals() {
        let _ = write!(usage, " <{}>", shown(arg));
    }
    if command.has_subcommands() {
        usage.push_str(" <ORDEN>");
    }
    usage
}

/// What is wrong with the command line, in a Spanish sentence.
pub(super) fn complaint(error: &Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(it)) => it.clone(),
        Some(ContextValue::Strings(all)) => all.join(", "),
        _ => String::new(),
    };
    let (argument, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => format!("Falta el valor de {argument}."),
        ErrorKind::InvalidValue => {
            format!("«{value}» no sirve para {argument}. Se acepta: {}.", text(ContextKind::ValidValue))
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(|it| format!(": {it}")).unwrap_or_default();
            format!("«{value}» no sirve para {argument}{why}.")
        }
        ErrorKind::UnknownArgument => format!("La opción {argument} no existe."),
        ErrorKind::InvalidSubcommand => {
            format!("La orden «{}» no existe.", text(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingRequiredArgument => format!("Falta {argument}."),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "Falta la orden.".to_owned()
        }
        ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("Falta un valor de {argument}.")
        }
        ErrorKind::TooManyValues => format!("{argument} tiene demasiados valores."),
        ErrorKind::ArgumentConflict => {
            format!("{argument} no se puede repetir ni combinar con {}.", text(ContextKind::PriorArg))
        }
        ErrorKind::InvalidUtf8 => "Hay caracteres que no son UTF-8.".to_owned(),
        _ => "La orden no se entiende.".to_owned(),
    }
}
