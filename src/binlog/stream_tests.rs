use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::model::Class;

const GREETING: &[u8] = b"\x0a9.7.4\0\x08\0\0\0abcdefgh\0\xff\xf7\xff\x02\0\xff\xff\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0mysql_native_password\0";
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

async fn send(line: &mut TcpStream, sequence: u8, payload: &[u8]) {
    let length = (payload.len() as u32).to_le_bytes();
    line.write_all(&[&length[..3], &[sequence], payload].concat()).await.unwrap();
}

async fn receive(line: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    line.read_exact(&mut head).await.unwrap();
    let mut payload = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
    line.read_exact(&mut payload).await.unwrap();
    payload
}

/// A stream from a server of ours, and the server's end of it. It is silent after a second.
async fn open() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut line, _) = listener.accept().await.unwrap();
        send(&mut line, 0, GREETING).await;
        let login = receive(&mut line).await;
        send(&mut line, 2, OK).await;
        let mut asked = vec![login];
        for answered in [true, true, false] {
            asked.push(receive(&mut line).await);
            if answered {
                send(&mut line, 1, OK).await;
            }
        }
        let first: Vec<u8> = asked[1..].iter().map(|command| command[0]).collect();
        assert_eq!(first, [3, 0x15, 0x1e], "query, register, dump by GTIDs");
        line
    });
    let login = ServerOptions { port, ..ServerOptions::default() };
    let mut options = StreamOptions::new(7);
    options.silence = Some(Duration::from_secs(1));
    let start = StreamStart::Gtids(GtidSet::default());
    (Stream::open(&login, &start, options).await.unwrap(), server.await.unwrap())
}

#[tokio::test]
async fn parts_of_an_event_are_signs_of_life() {
    let (mut stream, mut line) = open().await;
    let server = tokio::spawn(async move {
        let event = [&[12, 0, 0, 1, 0][..], b"slow event."].concat();
        for byte in event {
            tokio::time::sleep(Duration::from_millis(150)).await;
            line.write_all(&[byte]).await.unwrap();
        }
        line
    });
    let begun = std::time::Instant::now();
    assert_eq!(stream.next_raw().await.unwrap().bytes, b"slow event.");
    assert!(begun.elapsed() > Duration::from_secs(2));
    let _line = server.await.unwrap();
    let silent = stream.next_raw().await.unwrap_err();
    assert!(matches!(silent, BinlogError::Silent { .. }), "{silent}");
}

#[tokio::test]
async fn what_ends_a_stream_says_why() {
    for (payload, expected, class) in [
        (&b"\xfe\0\0\x02\0"[..], "the end of the binlog", Class::Retry),
        (b"\xff\xd4\x04#HY000Could not find first log", "Could not find first log", Class::Gap),
        (b"\x07xyz", "kind 0x07 with 3 bytes", Class::Retry),
        (b"", "an empty packet", Class::Retry),
    ] {
        let (mut stream, mut line) = open().await;
        send(&mut line, 1, payload).await;
        let error = stream.next_raw().await.unwrap_err();
        assert!(error.to_string().contains(expected) && error.class() == class, "{error}");
    }
    let (mut stream, line) = open().await;
    drop(line);
    let error = stream.next_raw().await.unwrap_err();
    assert!(matches!(error, BinlogError::Io { .. }) && error.class() == Class::Retry, "{error}");
}
