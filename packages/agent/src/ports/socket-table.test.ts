import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, readConnecting, readSocketTable } from './socket-table.ts';

const HEADING = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

function line(local: string, state: string): string {
  return `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000 100 0 0 10 0\n`;
}

test('listening sockets are read, with address, port, user and inode', () => {
  const table = HEADING + line('0100007F:0BB9', '0A') + line('00000000:C33F', '01');
  assert.deepEqual(readSocketTable(table), [{ address: '127.0.0.1', port: 3001, uid: 1000, inode: 4711 }]);
});

test('addresses of version 6 are in their shortest form, and mapped ones are of version 4', () => {
  const addressOf = (hex: string): string | undefined =>
    readSocketTable(HEADING + line(`${hex}:0050`, '0A'))[0]?.address;
  assert.equal(addressOf('00000000000000000000000000000000'), '::');
  assert.equal(addressOf('00000000000000000000000001000000'), '::1');
  assert.equal(addressOf('B80D0120000000000000000001000000'), '2001:db8::1');
  assert.equal(addressOf('0000000000000000FFFF00001500FEA9'), '169.254.0.21');
});

test('sockets whose connection to another machine is being made are told from each other', () => {
  const lines = [
    line('1500FEA9:7880', '02'),
    line('1500FEA9:7881', '03'),
    line('1500FEA9:7882', '01'),
    line('0100007F:7883', '02'),
    line('nonsense', '02'),
  ];
  assert.deepEqual(readConnecting(HEADING + lines.join('')), ['1500FEA9:7880 4711', '1500FEA9:7881 4711']);
});

test('what is not understood is left out', () => {
  for (const text of [
    '',
    HEADING,
    `${HEADING}nonsense\n`,
    HEADING + line('0100:0050', '0A'),
    HEADING + line('zz:50', '0A'),
  ]) {
    assert.deepEqual(readSocketTable(text), []);
  }
});

test('loopback addresses are told apart', () => {
  assert.deepEqual(['127.0.0.1', '127.8.8.8', '::1', '0.0.0.0', '::', '10.0.0.1'].map(isLoopback), [
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});
