//! How far a copy has come.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// How often progress is reported.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// How far the storing of an archive has come, in bytes of its size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// So much was sent. It can shrink, when a part has to be sent again.
    Sent(u64),
    /// So much was read back and compared.
    ReadBack(u64),
}

/// Counts the bytes of one archive on its way.
#[derive(Debug, Default)]
pub(super) struct Meter {
    sent: AtomicU64,
    read_back: AtomicU64,
}

impl Meter {
    pub(super) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn read_back(&self, bytes: u64) {
        self.read_back.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The archive is stored from its beginning once more.
    pub(super) fn restart(&self) {
        self.sent.store(0, Ordering::Relaxed);
        self.read_back.store(0, Ordering::Relaxed);
    }

    fn unsent(&self, bytes: u64) {
        self.sent.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn progress(&self) -> Progress {
        match self.read_back.load(Ordering::Relaxed) {
            0 => Progress::Sent(self.sent.load(Ordering::Relaxed)),
            bytes => Progress::ReadBack(bytes),
        }
    }
}

/// Does `work`, reporting the meter all the while and once at the end.
pub(super) async fn reporting<T>(work: impl Future<Output = T>, meter: &Meter, report: impl Fn(Progress)) -> T {
    let mut work = pin!(work);
    let mut tick = tokio::time::interval(REPORT_INTERVAL);
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                report(meter.progress());
                return done;
            }
            _ = tick.tick() => report(meter.progress()),
        }
    }
}

/// A body that counts what is taken from it. One that is made anew for another try takes back what the last one counted.
pub(super) fn counted(body: SdkBody, meter: Arc<Meter>) -> SdkBody {
    let counted = Arc::new(AtomicU64::new(0));
    body.map(move |body| {
        meter.unsent(counted.swap(0, Ordering::Relaxed));
        SdkBody::from_body_1_x(Counted { body: Box::pin(body), bytes: counted.clone(), meter: meter.clone() })
    })
}

struct Counted {
    body: Pin<Box<SdkBody>>,
    bytes: Arc<AtomicU64>,
    meter: Arc<Meter>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = self.body.as_mut().poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.meter.sent(bytes);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        Body::is_end_stream(&*self.body)
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&*self.body)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_second_try_is_not_counted_twice() {
        let meter = Arc::new(Meter::default());
        let body = counted(SdkBody::retryable(|| SdkBody::from("archive")), meter.clone());
        for _ in 0..3 {
            let attempt = body.try_clone().unwrap();
            assert_eq!(attempt.collect().await.unwrap().to_bytes(), "archive");
            assert_eq!(meter.progress(), Progress::Sent(7));
        }
        meter.read_back(3);
        assert_eq!(meter.progress(), Progress::ReadBack(3));
    }
}
