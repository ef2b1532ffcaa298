//! The program: parse the command line, run it.

fn main() -> std::process::ExitCode {
    llovizna::cli::main()
}
