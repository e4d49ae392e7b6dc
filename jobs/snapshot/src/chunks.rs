use std::io::{Error, ErrorKind, Result, Write};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use crate::pipeline::Output;

/// Bytes of a chunk: what one message of the object store carries.
const CHUNK_BYTES: usize = 128 * 1024;

/// Chunks between the archive's thread and the object store. Together with the chunks that wait for their
/// acknowledgement they bound the memory of a snapshot however slowly NATS takes them.
const CHUNKS_IN_FLIGHT: usize = 8;

/// A writer for a blocking thread whose bytes come out of a channel in chunks.
pub(crate) struct ChunkWriter {
    buffer: Vec<u8>,
    chunks: mpsc::Sender<Message>,
}

enum Message {
    Chunk(Bytes),
    End,
}

/// A writer, and the stream that its chunks come out of. The stream ends with an error when the writer is dropped before
/// it was finished: the store then keeps no object of what was cut off.
pub(crate) fn channel() -> (ChunkWriter, BoxStream<'static, Result<Bytes>>) {
    let (chunks, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let writer = ChunkWriter { buffer: Vec::with_capacity(CHUNK_BYTES), chunks };
    let stream = futures::stream::try_unfold(receiver, async |mut receiver| match receiver.recv().await {
        Some(Message::Chunk(chunk)) => Ok(Some((chunk, receiver))),
        Some(Message::End) => Ok(None),
        None => Err(Error::new(ErrorKind::UnexpectedEof, "the archive was cut off")),
    });
    (writer, stream.boxed())
}

impl ChunkWriter {
    fn send_buffer(&mut self) -> Result<()> {
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        self.send(Message::Chunk(chunk.into()))
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let receiver_gone = |_| Error::new(ErrorKind::BrokenPipe, "the object store takes no more chunks");
        self.chunks.blocking_send(message).map_err(receiver_gone)
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let taken = bytes.len().min(CHUNK_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK_BYTES {
            self.send_buffer()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Output for ChunkWriter {
    type Whole = ();

    fn finish(mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.send_buffer()?;
        }
        self.send(Message::End)
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    async fn collect(finish: bool) -> Result<Vec<Bytes>> {
        let (mut writer, chunks) = channel();
        let writing = tokio::task::spawn_blocking(move || {
            writer.write_all(&vec![7; CHUNK_BYTES + 1])?;
            if finish { writer.finish() } else { Ok(()) }
        });
        let collected = chunks.try_collect().await;
        writing.await.unwrap()?;
        collected
    }

    #[tokio::test]
    async fn finished_writer_ends_the_stream() {
        let lengths: Vec<_> = collect(true).await.unwrap().iter().map(Bytes::len).collect();
        assert_eq!(lengths, [CHUNK_BYTES, 1]);
    }

    #[tokio::test]
    async fn dropped_writer_is_an_error_of_the_stream() {
        assert_eq!(collect(false).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
