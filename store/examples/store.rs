//! The store as a program of its own: `cargo run -p store --example store -- help`.

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    std::process::exit(store::cli::run_cli(&args));
}
