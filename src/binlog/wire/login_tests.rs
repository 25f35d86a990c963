use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::binlog::wire::Packet;
use crate::model::{Secret, TlsOptions};

/// MySQL 9.7's greeting: kind, version, id, scramble, capabilities, the rest of the scramble, plugin.
fn greeting(capabilities: u32) -> Vec<u8> {
    let caps = capabilities.to_le_bytes();
    let mut out = b"\x0a9.7.4\0\x08\0\0\0abcdefgh\0".to_vec();
    out.extend([caps[0], caps[1], 255, 2, 0, caps[2], caps[3], 21]);
    out.extend([0; 10]);
    out.extend(b"ijklmnopqrst\0caching_sha2_password\0");
    out
}

const ALL: u32 = 0xffff_ffff;
const NO_TLS: u32 = ALL & !SSL;

fn options(mode: TlsMode) -> ServerOptions {
    let tls = TlsOptions { mode, ..TlsOptions::default() };
    ServerOptions { username: "u".into(), password: Secret::new("p w"), tls, ..ServerOptions::default() }
}

fn framed(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    [&length[..3], &[sequence], payload].concat()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Signs in to a server that says these bytes whatever it hears; also what it heard.
async fn meet(said: Vec<u8>, mode: TlsMode) -> (Result<(), WireError>, Vec<u8>) {
    let (ours, mut theirs) = duplex(1 << 20);
    let server = tokio::spawn(async move {
        theirs.write_all(&said).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        heard
    });
    let met = log_in_over(Box::new(ours), &options(mode)).await.map(drop);
    (met, server.await.unwrap())
}

fn refused(met: Result<(), WireError>) -> String {
    match met {
        Err(WireError::Refused(why) | WireError::Unexpected(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_fast_way_and_its_errors() {
    let turns = |packets: &[&[u8]]| {
        let packets = packets.iter().zip([0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        packets.flat_map(|(payload, n)| framed(n, payload)).collect::<Vec<u8>>()
    };
    let meet = |packets: &[&[u8]]| wait(meet(turns(packets), TlsMode::Preferred)).0;
    let hello = greeting(NO_TLS);
    meet(&[&hello, &[1, 3], &[0, 0, 0, 2, 0, 0, 0]]).unwrap();
    let denied = meet(&[&hello, b"\xff\x15\x04#28000Access denied"]);
    assert!(matches!(denied, Err(WireError::Server { code: 1045, message }) if message == "Access denied"));
    let full = meet(&[b"\xff\x10\x04Too many connections"]);
    assert!(
        matches!(full, Err(WireError::Server { code: 1040, message }) if message == "Too many connections")
    );
    assert!(matches!(meet(&[&hello]), Err(WireError::Io(_))));
    assert!(refused(meet(&[&[], &[]])).contains("empty"));
    assert!(refused(meet(&[&[9, 1, 2]])).contains("protocol 9"));
    assert!(refused(meet(&[&greeting(0)])).contains("protocol 4.1"));
    assert!(refused(meet(&[&hello, &[7, 7]])).contains("kind 0x07 with 1 bytes"));
    let mut endless = vec![&hello[..]];
    endless.extend([&[1, 3][..]; 9]);
    assert!(refused(meet(&endless)).contains("questions"));
}

#[test]
fn tls_is_asked_for_before_the_account_is_named() {
    let (met, _) = wait(meet(framed(0, &greeting(NO_TLS)), TlsMode::Required));
    assert!(refused(met).contains("no TLS"));
    // What a third party put behind the greeting must not be taken for the server's.
    let injected = [framed(0, &greeting(ALL)), framed(2, &[0, 0, 0, 2, 0, 0, 0])].concat();
    let (met, heard) = wait(meet(injected, TlsMode::Preferred));
    assert!(refused(met).contains("before TLS"));
    assert_eq!(heard.len(), 36, "an SSLRequest and nothing more");
}

/// Packets of a duplex, and its other end.
fn pair() -> (Packets, DuplexStream) {
    let (ours, theirs) = duplex(1 << 26);
    let mut packets = Packets::new(Box::new(ours));
    packets.expect_events();
    (packets, theirs)
}

#[test]
fn large_packets_come_whole_and_in_order() {
    wait(async {
        for length in [0xff_fffe, 0xff_ffff, 0x100_0000, 0x1ff_fffe] {
            let (mut packets, mut theirs) = pair();
            let payload = (0..251_u8).collect::<Vec<_>>().repeat(length / 251 + 1);
            let payload = &payload[..length];
            let mut parts: Vec<&[u8]> = payload.chunks(0xff_ffff).collect();
            if length % 0xff_ffff == 0 {
                parts.push(&[]);
            }
            let server = tokio::spawn({
                let after = framed(parts.len() as u8, &[0, 1]);
                let framed: Vec<_> =
                    (0..).zip(&parts).map(|(n, part)| framed(n, part)).chain([after]).collect();
                let all = framed.concat();
                async move { theirs.write_all(&all).await.unwrap() }
            });
            let Packet { kind, body } = packets.read().await.unwrap();
            assert!(kind == 0 && body == payload[1..], "{length}");
            assert_eq!(packets.read().await.unwrap().body, [1]);
            server.await.unwrap();
        }
    });
}

#[test]
fn what_is_too_large_or_out_of_order_ends_it() {
    wait(async {
        let (mut packets, mut theirs) = pair();
        theirs.write_all(&framed(1, &[0])).await.unwrap();
        assert!(refused(packets.read().await.map(drop)).contains("number 1 where 0"));
        let (ours, mut theirs) = duplex(1 << 10);
        theirs.write_all(&[0xff, 0xff, 0xff, 0]).await.unwrap();
        assert!(refused(Packets::new(Box::new(ours)).read().await.map(drop)).contains("more than"));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// In any pieces, and with futures dropped in between, packets are the same.
    #[test]
    fn pieces_and_dropped_futures_lose_nothing(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..70_000), 1..4),
        pieces in prop::collection::vec(1_usize..50_000, 1..20),
    ) {
        let framed: Vec<_> = (0..).zip(&payloads).map(|(n, payload)| framed(n, payload)).collect();
        let bytes = framed.concat();
        let got = wait(async {
            let (mut packets, mut theirs) = pair();
            let (mut got, mut rest, mut pieces) = (Vec::new(), &bytes[..], pieces.iter().cycle());
            loop {
                while let Some(Packet { kind, body }) = packets.take().unwrap() {
                    got.push([&[kind], &body[..]].concat());
                }
                if packets.fill().now_or_never().is_some() {
                    continue;
                }
                if rest.is_empty() {
                    return got;
                }
                let (piece, later) = rest.split_at((*pieces.next().unwrap()).min(rest.len()));
                theirs.write_all(piece).await.unwrap();
                rest = later;
            }
        });
        prop_assert_eq!(got, payloads);
    }

    /// Whatever a server says while we sign in, nothing panics and the password does not show.
    #[test]
    fn no_server_panics_us(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4),
        kinds in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0xfe, 0xff, 7]), 4),
        at in 0..90_usize, byte: u8, cut in 0..600_usize, junk: Vec<u8>, tls: bool, switch: bool,
    ) {
        let mut hello = greeting(if tls { ALL } else { NO_TLS });
        if let Some(changed) = hello.get_mut(at) {
            *changed = byte;
        }
        let mut said = framed(0, &hello);
        let known: &[&[u8]] = &[b"\xfesha256_password\0ABCDEFGHIJKLMNOPQRST\0", b"\x01-----BEGIN PUBLIC KEY-----\n"];
        let known = known.iter().map(|body| body.to_vec()).filter(|_| switch);
        let random = bodies.iter().zip(&kinds).map(|(body, kind)| [&[*kind], &body[..]].concat());
        for (n, body) in (2..).zip(known.chain(random)) {
            said.extend(framed(n, &body));
        }
        for said in [said.clone(), said[..cut.min(said.len())].to_vec(), junk] {
            let mode = if tls { TlsMode::Preferred } else { TlsMode::Disabled };
            if let (Err(error), heard) = wait(meet(said, mode)) {
                let shown = format!("{error:?}").contains("p w");
                let sent = heard.windows(3).any(|w| w == b"p w");
                prop_assert!(!shown && !sent);
            }
        }
    }
}
