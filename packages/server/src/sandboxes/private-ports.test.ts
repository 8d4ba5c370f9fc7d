import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasPrivatePorts, isPrivatePort, privatePortsOf } from './private-ports.ts';
import type { NetworkSpec } from './sandbox-record.ts';

const network = (over: Partial<NetworkSpec>): NetworkSpec => ({
  allowPublicTraffic: true,
  allowOut: [],
  denyOut: [],
  ...over,
});

test('all ports are public, or private, or differ by list', () => {
  const open = network({});
  assert.deepEqual([hasPrivatePorts(open), isPrivatePort(open, 3000)], [false, false]);
  const closed = network({ allowPublicTraffic: false });
  assert.deepEqual(
    [hasPrivatePorts(closed), isPrivatePort(closed, 3000), privatePortsOf(closed)],
    [true, true, undefined],
  );
  const partly = network({ privatePorts: [3000] });
  assert.deepEqual(
    [hasPrivatePorts(partly), isPrivatePort(partly, 3000), isPrivatePort(partly, 3001)],
    [true, true, false],
  );
  assert.deepEqual(privatePortsOf(partly), { only: [3000] });
  const mostly = network({ allowPublicTraffic: false, publicPorts: [3000] });
  assert.deepEqual([isPrivatePort(mostly, 3000), isPrivatePort(mostly, 3001)], [false, true]);
  assert.deepEqual(privatePortsOf(mostly), { except: [3000] });
});
