import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { SandportError } from '@sandport/protocol/errors';
import { isLoopbackDomain, readSettings, type ServerOptions } from './settings.ts';

function refusal(options: ServerOptions): string {
  try {
    readSettings(options);
  } catch (error) {
    assert(error instanceof SandportError);
    assert.equal(error.code, 'validation_failed');
    return error.message;
  }
  assert.fail(`accepted: ${JSON.stringify(options)}`);
}

test('without options it is a server for this machine only, on gVisor', () => {
  const settings = readSettings({});
  assert.equal(settings.domain, 'sandport.localhost');
  assert.equal(settings.runtime, 'runsc');
  assert.equal(settings.maxSandboxes, 1000);
  assert(settings.gateways >= 1 && settings.gateways <= 4);
  assert.deepEqual(settings.listen[0], { host: '127.0.0.1', port: 8443 });
  assert(settings.listen.every(({ host }) => host === '127.0.0.1' || host === '::1'));
});

test('a domain that others can reach is listened for on all addresses', () => {
  assert.deepEqual(readSettings({ domain: 'box.example.com' }).listen[0], { host: '0.0.0.0', port: 8443 });
});

test('a domain is taken in lower case and without the dot of the root', () => {
  assert.equal(readSettings({ domain: 'Box.Example.COM.' }).domain, 'box.example.com');
});

test('a domain that cannot carry public URLs is refused with its value', () => {
  const bad = [
    '',
    'localhost',
    '.',
    'a..b',
    '-a.example',
    'a-.example',
    'a_b.example',
    '192.0.2.1',
    'é.example',
    '*.a.b',
  ];
  for (const domain of [...bad, 'a b.c', 'a.b:443', 'a.b/c', `${'a'.repeat(64)}.example`]) {
    const message = refusal({ domain });
    assert(message.includes(`--domain is "${domain}"`), message);
  }
});

test('a domain is as long as leaves room for the longest port and ID, and not longer', () => {
  const label = 'a'.repeat(46);
  const longest = [label, label, label, label, 'b'].join('.');
  assert.equal(longest.length, 189);
  assert.equal(readSettings({ domain: longest }).domain, longest);
  refusal({ domain: `${longest}b` });
});

test('listen addresses are IPv4, IPv6 in brackets, or localhost, each with a port', () => {
  const { listen } = readSettings({ listen: ['0.0.0.0:443', '[::]:443', 'localhost:80'] });
  assert.deepEqual(listen, [
    { host: '0.0.0.0', port: 443 },
    { host: '::', port: 443 },
    { host: '127.0.0.1', port: 80 },
  ]);
});

test('a listen address that is none is refused with its value', () => {
  const bad = ['443', ':443', '0.0.0.0', '0.0.0.0:0', '0.0.0.0:65536', '0.0.0.0:080', '::1:443', '256.0.0.1:443'];
  for (const address of [...bad, 'example.com:443', '[::g]:1', '1.2.3.4:443\n']) {
    assert(refusal({ listen: [address] }).includes(`--listen is "${address}"`));
  }
});

test('a third port is refused, whatever the number of addresses', () => {
  readSettings({ listen: ['127.0.0.1:1', '127.0.0.2:1', '127.0.0.1:2', '127.0.0.2:2'] });
  assert.match(refusal({ listen: ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'] }), /two ports at most/);
});

test('a certificate comes with its key, and HTTP leads to HTTPS but on loopback domains', () => {
  assert.deepEqual(readSettings({ tlsCert: '/a/cert.pem', tlsKey: '/a/key.pem' }).tls, {
    cert: '/a/cert.pem',
    key: '/a/key.pem',
  });
  assert.match(refusal({ tlsCert: 'x' }), /--tls-key/);
  assert.match(refusal({ tlsKey: 'x' }), /--tls-cert/);
  assert.equal(readSettings({}).redirectToHttps, false);
  assert.equal(readSettings({ domain: 'box.example.com' }).redirectToHttps, true);
  assert.equal(readSettings({ domain: 'box.example.com', httpsRedirect: false }).redirectToHttps, false);
});

test('trusted proxies are addresses and ranges', () => {
  const right = ['127.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/32', '0.0.0.0/0'];
  assert.deepEqual(readSettings({ trustedProxies: right }).trustedProxies, right);
  for (const wrong of [
    '',
    'proxy.example',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '::1/-1',
  ]) {
    assert(refusal({ trustedProxies: [wrong] }).includes(`--trusted-proxies is "${wrong}"`), wrong);
  }
});

test('counts are whole numbers within bounds', () => {
  assert.equal(readSettings({ gateways: 64 }).gateways, 64);
  assert.equal(readSettings({ maxSandboxes: 1 }).maxSandboxes, 1);
  for (const gateways of [0, -1, 1.5, 65, Number.NaN]) assert.match(refusal({ gateways }), /--gateways .* 1 to 64/);
  for (const maxSandboxes of [0, 2001, Number.POSITIVE_INFINITY]) {
    assert.match(refusal({ maxSandboxes }), /--max-sandboxes .* 1 to 2000/);
  }
});

test('only the two runtimes are taken', () => {
  assert.equal(readSettings({ runtime: 'runc' }).runtime, 'runc');
  for (const runtime of ['', 'RUNC', 'crun']) assert(refusal({ runtime }).includes(`"${runtime}"`));
});

test('the data directory is absolute: given, else of the environment, else of the installation', (context) => {
  const before = process.env.SANDPORT_DATA;
  context.after(() => {
    if (before === undefined) delete process.env.SANDPORT_DATA;
    else process.env.SANDPORT_DATA = before;
  });
  process.env.SANDPORT_DATA = '/srv/of-the-environment';
  assert.equal(readSettings({ data: 'relative' }).data, resolve('relative'));
  assert.equal(readSettings({}).data, '/srv/of-the-environment');
  delete process.env.SANDPORT_DATA;
  assert.match(readSettings({}).data, /^\/.*\/default$/);
});

test('only names under localhost are loopback names', () => {
  assert(isLoopbackDomain('sandport.localhost'));
  assert(isLoopbackDomain('localhost'));
  for (const domain of ['notlocalhost', 'localhost.example', 'a.localhost.example']) assert(!isLoopbackDomain(domain));
});

test('the limits of a sandbox have defaults and bounds', () => {
  const { limits } = readSettings({ memoryMB: 128, cpuCount: 256, diskSizeMB: 64 });
  assert.deepEqual([limits.memoryMB, limits.cpuCount, limits.diskSizeMB], [128, 256, 64]);
  const byDefault = readSettings({}).limits;
  assert.deepEqual([byDefault.memoryMB, byDefault.cpuCount, byDefault.diskSizeMB], [1024, 2, 10_240]);
  assert.match(refusal({ memoryMB: 127 }), /--memory is "127"; expected a whole number from 128/);
  assert.match(refusal({ cpuCount: 0.5 }), /--cpus is "0.5"/);
  assert.match(refusal({ diskSizeMB: 63 }), /--disk is "63"; expected a whole number from 64/);
});

test('the limits of client connections are given in KiB and seconds, have defaults and bounds', () => {
  assert.deepEqual(readSettings({}).clients, {
    headBytes: 65_536,
    headerCount: 200,
    headTime: 30_000,
    idleTime: 620_000,
  });
  const given = { maxHeaderKB: 4, maxHeaderLines: 20, headerTimeoutSeconds: 1, idleTimeoutSeconds: 86_400 };
  assert.deepEqual(readSettings(given).clients, {
    headBytes: 4096,
    headerCount: 20,
    headTime: 1000,
    idleTime: 86_400_000,
  });
  assert.match(refusal({ maxHeaderKB: 129 }), /--max-header is "129"; expected a whole number from 4 to 128/);
  assert.match(refusal({ maxHeaderLines: 19 }), /--max-header-lines is "19"/);
  assert.match(refusal({ headerTimeoutSeconds: 0 }), /--header-timeout is "0"/);
  assert.match(refusal({ idleTimeoutSeconds: 0.5 }), /--idle-timeout is "0.5"/);
});
