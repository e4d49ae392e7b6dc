#![expect(clippy::print_stdout, reason = "the story is told on standard output")]

use std::time::Instant;

/// Tells a step when it begins, and how long it took when it is done.
pub(super) struct Story {
    begun: Instant,
    step: u32,
}

impl Story {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), step: 0 }
    }

    /// Runs a step and prints its headline before, its time after.
    pub(super) async fn step<T, E>(
        &mut self,
        headline: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.step += 1;
        println!("\n{}. {headline}", self.step);
        let begun = Instant::now();
        let done = work.await?;
        println!("   done in {:.1} s", begun.elapsed().as_secs_f64());
        Ok(done)
    }

    pub(super) fn end(&self, moral: &str) {
        println!("\n{moral} ({:.0} s in all)", self.begun.elapsed().as_secs_f64());
    }
}

/// A line of a step.
pub(super) fn tell(line: &str) {
    println!("   {line}");
}
