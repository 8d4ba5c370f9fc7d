import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebhookAddresses } from './webhook-address.ts';

const open = new AbortController().signal;
const addresses = new WebhookAddresses([]);

test('addresses of the machine, of private networks and of special use are not allowed', () => {
  const refused = ['127.0.0.1', '0.0.0.0', '10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1'];
  const refused6 = ['::1', '::', '::ffff:127.0.0.1', '::ffff:8.8.8.8', 'fe80::1', 'fd00::1', 'ff02::1', '64:ff9b::1'];
  const special6 = ['2001:db8::1', '2002:7f00:1::', '2001::1', '3fff::1'];
  for (const address of [...refused, ...refused6, ...special6, '198.18.0.1', '224.0.0.1', '', 'localhost']) {
    assert.equal(addresses.allows(address), false, address);
  }
  for (const address of ['8.8.8.8', '1.1.1.1', '2606:4700::1', '2a00::1']) assert(addresses.allows(address), address);
});

test('the operator opens ranges, and no more', () => {
  const opened = new WebhookAddresses(['127.0.0.1', '10.1.0.0/16']);
  for (const address of ['127.0.0.1', '10.1.2.3']) assert(opened.allows(address), address);
  for (const address of ['127.0.0.2', '10.2.0.1', '::1']) assert(!opened.allows(address), address);
});

test('a URL is http or https, without credentials, and leads to no address that is not allowed', () => {
  assert.equal(addresses.validate('https://example.com'), 'https://example.com/');
  assert.equal(addresses.validate('http://8.8.8.8:8080/x?y=z'), 'http://8.8.8.8:8080/x?y=z');
  const wrong = [
    '',
    'example.com',
    'ftp://example.com/',
    'file:///etc/passwd',
    'https://user:password@example.com/',
    'https://user@example.com/',
    `https://example.com/${'x'.repeat(2048)}`,
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://[::1]:80/',
    'http://[::ffff:7f00:1]/',
    'http://169.254.169.254/latest/meta-data',
  ];
  for (const url of wrong) assert.throws(() => addresses.validate(url), { code: 'validation_failed' }, url);
});

test('a name leads to an address that is allowed, or nowhere', async () => {
  assert.equal(await addresses.find('localhost', open), undefined);
  assert.equal(await addresses.find('[::1]', open), undefined);
  assert.equal(await new WebhookAddresses(['127.0.0.0/8']).find('localhost', open), '127.0.0.1');
});

test('a look-up that does not end holds up nobody, and is begun once', async () => {
  const { promise, resolve } = Promise.withResolvers<readonly string[]>();
  let begun = 0;
  const slow = new WebhookAddresses([], () => {
    begun++;
    return promise;
  });
  const delivery = new AbortController();
  const waiting = slow.find('hooks.example.com', delivery.signal);
  delivery.abort(new Error('the time is over'));
  await assert.rejects(waiting, /the time is over/);
  await assert.rejects(slow.find('hooks.example.com', delivery.signal), /the time is over/);
  const again = slow.find('hooks.example.com', open);
  resolve(['10.0.0.1', '8.8.8.8']);
  assert.equal(await again, '8.8.8.8');
  assert.equal(begun, 1);
  await slow.find('hooks.example.com', open);
  assert.equal(begun, 2, 'what was found is not kept');
});
