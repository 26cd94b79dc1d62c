//! The DNS responder: a CNAME to the endpoint and the address of the router for each name in the route table.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use simple_dns::rdata::{A, CNAME, RData};
use simple_dns::{CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::routes::{Names, Routes, plain};
use crate::engine::retry::pause;

/// How long a TCP client may stay silent.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// Wait after a refused `accept`.
const ACCEPT_WAIT: Duration = Duration::from_millis(20);

/// Length of a DNS header, the least that can be answered (RFC 1035, 4.1.1).
const HEADER: usize = 12;

/// What answers.
#[derive(Debug)]
pub struct Responder {
    /// The names.
    pub routes: Routes,
    /// Domains in which a name that is not in the table does not exist; lower case.
    pub suffixes: Vec<String>,
    /// The router's address, if it is not the one on which a query arrives.
    pub answer: Option<Ipv4Addr>,
    /// Seconds for which an answer may be kept.
    pub ttl: u32,
}

impl Responder {
    /// Answers datagrams until the socket breaks.
    ///
    /// # Errors
    /// The socket's.
    pub async fn serve_udp(self: Arc<Self>, socket: UdpSocket) -> io::Result<()> {
        let bound = socket.local_addr()?.ip();
        let mut buffer = [0; 4096];
        loop {
            let (length, peer) = match socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                // An earlier answer could not be delivered; the system tells so here.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            let here = if bound.is_unspecified() { facing(peer).await } else { Some(bound) };
            if let Some(answer) = self.reply(&buffer[..length], here) {
                // The client asks again when this is lost.
                let _ = socket.send_to(&answer, peer).await;
            }
        }
    }

    /// Answers over TCP for ever.
    pub async fn serve_tcp(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(self.clone().conversation(stream))),
                Err(_) => pause(ACCEPT_WAIT).await,
            }
        }
    }

    /// Queries on one connection, each after its length in two bytes (RFC 1035, 4.2.2).
    async fn conversation(self: Arc<Self>, mut stream: TcpStream) -> io::Result<()> {
        let here = stream.local_addr().ok().map(|address| address.ip());
        while let Ok(length) = timeout(SILENCE_LIMIT, stream.read_u16()).await? {
            let mut query = vec![0; usize::from(length)];
            timeout(SILENCE_LIMIT, stream.read_exact(&mut query)).await??;
            let Some(answer) = self.reply(&query, here) else { break };
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
        }
        Ok(())
    }

    /// The answer to one query; `here` is our address on the way to the client. `None` when the bytes are no query.
    fn reply(&self, query: &[u8], here: Option<IpAddr>) -> Option<Vec<u8>> {
        if query.len() < HEADER || query[2] & 0x80 != 0 {
            return None;
        }
        let Ok(packet) = Packet::parse(query) else { return Some(malformed(query)) };
        let wants_recursion = packet.has_flags(PacketFlag::RECURSION_DESIRED);
        let mut reply = packet.into_reply();
        if wants_recursion {
            reply.set_flags(PacketFlag::RECURSION_DESIRED);
        }
        reply.additional_records.clear();
        *reply.opt_mut() = None;
        let here = self.answer.or(match here.map(|here| here.to_canonical()) {
            Some(IpAddr::V4(address)) => Some(address),
            _ => None,
        });
        match self.records(&reply, here) {
            Ok(records) => {
                reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
                reply.answers = records;
            }
            Err(code) => *reply.rcode_mut() = code,
        }
        reply.build_bytes_vec_compressed().ok()
    }

    fn records(&self, query: &Packet<'_>, here: Option<Ipv4Addr>) -> Result<Vec<ResourceRecord<'static>>, RCODE> {
        if query.opcode() != OPCODE::StandardQuery {
            return Err(RCODE::NotImplemented);
        }
        let [question] = query.questions.as_slice() else { return Err(RCODE::FormatError) };
        if !matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY) {
            return Err(RCODE::Refused);
        }
        let names = self.routes.now();
        let asked = plain(&question.qname.to_string());
        if !names.is_known(&asked) {
            return self.nothing_at(&names, &asked);
        }
        let wants = |kind: TYPE| question.qtype == QTYPE::TYPE(kind) || question.qtype == QTYPE::ANY;
        if !wants(TYPE::A) && !wants(TYPE::CNAME) {
            return Ok(Vec::new());
        }
        let owner = question.qname.clone().into_owned();
        let record = |name: Name<'static>, data| ResourceRecord::new(name, CLASS::IN, self.ttl, data);
        // An environment of a single instance has an address for its endpoint, which no CNAME can point to.
        let endpoint = names.endpoint(&asked).filter(|endpoint| endpoint.parse::<IpAddr>().is_err());
        let endpoint = endpoint.map(|name| Name::new(name).map(Name::into_owned)).transpose();
        let endpoint = endpoint.map_err(|_| RCODE::ServerFailure)?;
        let mut records = Vec::new();
        if let Some(endpoint) = &endpoint {
            records.push(record(owner.clone(), RData::CNAME(CNAME(endpoint.clone()))));
        }
        if wants(TYPE::A) {
            let address = here.ok_or(RCODE::ServerFailure)?;
            records.push(record(endpoint.unwrap_or(owner), RData::A(A::from(address))));
        }
        Ok(records)
    }

    /// For a name that is not in the table.
    fn nothing_at(&self, names: &Names, asked: &str) -> Result<Vec<ResourceRecord<'static>>, RCODE> {
        let is_below = |suffix: &String| asked.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.'));
        if names.has_below(asked) || self.suffixes.iter().any(|suffix| suffix == asked) {
            Ok(Vec::new())
        } else if self.suffixes.iter().any(is_below) {
            Err(RCODE::NameError)
        } else {
            // Told at once, so that docker's own resolver goes on to the next server it knows.
            Err(RCODE::Refused)
        }
    }
}

/// Our own address on the way to `peer`: what a socket connected to it is bound to. Nothing is sent.
async fn facing(peer: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).await.ok()?;
    socket.connect(peer).await.ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The header of `query` alone, as an answer that says it could not be read.
fn malformed(query: &[u8]) -> Vec<u8> {
    let code = RCODE::FormatError as u8;
    vec![query[0], query[1], 0x80 | (query[2] & 0x79), code, 0, 0, 0, 0, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use simple_dns::Question;

    use super::super::routes::{Route, RouteTable};
    use super::*;

    const LIVE: &str = "shop.local.elasticbeanstalk.com";
    const ENDPOINT: &str = "awseb-e-1.local.elb.amazonaws.com";

    fn responder() -> Responder {
        let routes = Routes::default();
        let route = Route { endpoint: ENDPOINT.into(), backends: Vec::new() };
        routes.replace(&RouteTable { hosts: [(LIVE.to_owned(), route)].into() }).unwrap();
        Responder { routes, suffixes: vec!["local.elasticbeanstalk.com".into()], answer: None, ttl: 1 }
    }

    fn query(name: &str, kind: TYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(77);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(name).unwrap();
        packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
        packet.build_bytes_vec().unwrap()
    }

    /// Code and records of an answer, in words.
    fn said(answer: &[u8]) -> (RCODE, Vec<String>) {
        let packet = Packet::parse(answer).unwrap();
        assert!(packet.id() == 77 && packet.has_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_DESIRED));
        let words = |record: &ResourceRecord<'_>| match &record.rdata {
            RData::A(A { address }) => format!("{} A {}", record.name, Ipv4Addr::from(*address)),
            RData::CNAME(CNAME(target)) => format!("{} CNAME {target}", record.name),
            _ => "another record".into(),
        };
        (packet.rcode(), packet.answers.iter().map(words).collect())
    }

    #[test]
    fn a_cname_points_to_its_endpoint_and_that_to_the_router() {
        let responder = responder();
        let ask = |name: &str, kind| said(&responder.reply(&query(name, kind), Some([10, 0, 0, 9].into())).unwrap());
        let cname = format!("{LIVE} CNAME {ENDPOINT}");
        let address = format!("{ENDPOINT} A 10.0.0.9");
        assert_eq!(ask(LIVE, TYPE::A), (RCODE::NoError, vec![cname.clone(), address.clone()]));
        assert_eq!(ask(LIVE, TYPE::CNAME), (RCODE::NoError, vec![cname]));
        assert_eq!(ask(ENDPOINT, TYPE::A), (RCODE::NoError, vec![address]));
        assert_eq!(ask("SHOP.local.elasticbeanstalk.com", TYPE::A).1.len(), 2);
        assert_eq!(ask(LIVE, TYPE::AAAA), (RCODE::NoError, vec![]));
        assert_eq!(ask("gone.local.elasticbeanstalk.com", TYPE::A), (RCODE::NameError, vec![]));
        assert_eq!(ask("elasticbeanstalk.com", TYPE::A), (RCODE::NoError, vec![]));
        assert_eq!(ask("example.com", TYPE::A), (RCODE::Refused, vec![]));
    }

    #[test]
    fn what_is_no_query_gets_no_answer_or_a_format_error() {
        let responder = responder();
        assert!(responder.reply(b"short", None).is_none());
        let mut broken = query(LIVE, TYPE::A);
        broken.truncate(20);
        assert_eq!(said(&responder.reply(&broken, None).unwrap()).0, RCODE::FormatError);
        let answer = responder.reply(&query(LIVE, TYPE::A), Some([10, 0, 0, 9].into())).unwrap();
        assert!(responder.reply(&answer, None).is_none(), "an answer was answered");
        assert_eq!(said(&responder.reply(&query(LIVE, TYPE::A), None).unwrap()).0, RCODE::ServerFailure);
    }

    #[tokio::test]
    async fn both_transports_find_the_address_that_faces_the_client() {
        let responder = Arc::new(responder());
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let udp = UdpSocket::bind(anywhere).await.unwrap();
        let tcp = TcpListener::bind(anywhere).await.unwrap();
        let (udp_port, tcp_port) = (udp.local_addr().unwrap().port(), tcp.local_addr().unwrap().port());
        tokio::spawn(responder.clone().serve_udp(udp));
        tokio::spawn(responder.serve_tcp(tcp));
        let expected = vec![format!("{ENDPOINT} A 127.0.0.1")];
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.send_to(&query(ENDPOINT, TYPE::A), ("127.0.0.1", udp_port)).await.unwrap();
        let mut buffer = [0; 512];
        let length = client.recv(&mut buffer).await.unwrap();
        assert_eq!(said(&buffer[..length]).1, expected);
        let mut stream = TcpStream::connect(("127.0.0.1", tcp_port)).await.unwrap();
        for _ in 0..2 {
            let query = query(ENDPOINT, TYPE::A);
            stream.write_u16(query.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&query).await.unwrap();
            let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(said(&answer).1, expected);
        }
    }
}
