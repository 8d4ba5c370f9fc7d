import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { openDatabase } from '../store/database.ts';
import { EventRecords } from '../store/event-records.ts';
import { Sealer } from '../store/sealer.ts';
import { WebhookRecords } from '../store/webhook-records.ts';
import type { EventKind } from './lifecycle-event.ts';
import { WebhookAddresses } from './webhook-address.ts';
import { Webhooks } from './webhooks.ts';

interface Delivery {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Takes deliveries, and answers them as the test says. */
class Receiver {
  readonly deliveries: Delivery[] = [];
  answer = (response: ServerResponse): void => void response.end();
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();

  constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      this.deliveries.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      for (const tell of this.#waiting) tell();
      this.answer(response);
    });
  }

  async listen(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  get ids(): string[] {
    return this.deliveries.map(({ body }) => (JSON.parse(body) as { id: string }).id);
  }

  async count(number: number): Promise<void> {
    await this.until(() => this.deliveries.length >= number);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        const tell = (): void => {
          this.#waiting.delete(tell);
          resolve();
        };
        this.#waiting.add(tell);
      });
    }
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let stack: AsyncDisposableStack;
let receiver: Receiver;
let events: EventRecords;
let store: WebhookRecords;
let webhooks: Webhooks;
let eventsSoFar: number;
const logged: [string, unknown][] = [];

function open(retryMs: readonly number[] = [1, 1, 1]): Webhooks {
  return new Webhooks({
    store,
    events,
    addresses: new WebhookAddresses(['127.0.0.1']),
    log: { event: (name, fields) => void logged.push([name, fields]) },
    retryMs,
  });
}

function record(kind: EventKind = 'created', sandboxId = 'i1'): string {
  const id = `e${++eventsSoFar}`;
  const data = { sandbox_metadata: { owner: 'Zoë' } };
  events.insert({ id, kind, sandboxId, executionId: 'g1', templateId: 'base', at: 1_800_000_000_000, data });
  webhooks.wake();
  return id;
}

const request = (url: string) => ({
  ...{ name: 'one', url, enabled: true, secret: 'the secret' },
  kinds: ['created', 'killed'] as const,
});

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const root = stack.use(await mkdtempDisposable(join(tmpdir(), 'sandport-webhooks-')));
  const database = openDatabase(join(root.path, 'x.db'));
  stack.defer(() => database.close());
  eventsSoFar = 0;
  logged.length = 0;
  events = new EventRecords(database);
  store = new WebhookRecords(database, new Sealer(Buffer.alloc(32, 1), 'test'));
  receiver = new Receiver();
  await receiver.listen();
  stack.defer(() => receiver.close());
  webhooks = open();
  stack.defer(() => webhooks.close());
});
afterEach(() => stack.disposeAsync());

test('events of the kinds that were asked for are delivered, signed, under both spellings of names', async () => {
  record();
  const { webhook } = webhooks.create(request(receiver.url));
  record('paused');
  const wanted = record('killed');
  await receiver.count(1);
  const { headers, body } = receiver.deliveries[0]!;
  const message = JSON.parse(body) as Record<string, unknown>;
  assert.equal(message.id, wanted, 'not what was before, nor what was not asked for');
  assert.equal(message.type, 'sandbox.lifecycle.killed');
  assert.deepEqual(message.eventData, { sandbox_metadata: { owner: 'Zoë' } });
  assert.deepEqual(message.event_data, message.eventData);
  assert.deepEqual([message.sandboxId, message.sandbox_id, message.sandbox_execution_id], ['i1', 'i1', 'g1']);
  assert.equal(message.timestamp, '2027-01-15T08:00:00.000Z');
  const expected = createHash('sha256').update(`the secret${body}`).digest('base64').replace(/=+$/, '');
  assert.equal(headers['e2b-signature'], expected);
  assert.equal(headers['e2b-signature-version'], 'v1');
  assert.equal(headers['e2b-webhook-id'], webhook.id);
  assert.match(headers['e2b-delivery-id'] as string, /^[0-9a-f-]{36}$/);
  assert.equal(headers['content-type'], 'application/json');
});

test('what fails is tried again, with the same body and another delivery ID, before anything that came later', async () => {
  const answers = [500, 404, 302];
  receiver.answer = (response) => void response.writeHead(answers.shift() ?? 204).end();
  webhooks.create(request(receiver.url));
  const first = record();
  const second = record();
  await receiver.count(5);
  assert.deepEqual(receiver.ids, [first, first, first, first, second]);
  const [one, again] = receiver.deliveries;
  assert.equal(one!.body, again!.body);
  assert.notEqual(one!.headers['e2b-delivery-id'], again!.headers['e2b-delivery-id']);
});

test('what fails again and again is given up, said, and what comes after it is delivered', async () => {
  receiver.answer = (response) => void response.writeHead(receiver.deliveries.length <= 4 ? 500 : 200).end();
  const { webhook } = webhooks.create(request(receiver.url));
  const first = record();
  const second = record();
  await receiver.count(5);
  assert.deepEqual(receiver.ids, [first, first, first, first, second]);
  assert.deepEqual(logged, [
    ['webhook not delivered', { webhookId: webhook.id, eventId: first, reason: 'it answered with status 500' }],
  ]);
});

test('after a restart it goes on where it was', async () => {
  webhooks.create(request(receiver.url));
  const [first, second] = [record(), record()];
  await receiver.count(2);
  await webhooks.close();
  const third = record();
  webhooks = open();
  const fourth = record();
  await receiver.until(() => receiver.ids.includes(fourth));
  // The answer to the second one may not have come before the end.
  assert.deepEqual([...new Set(receiver.ids)], [first, second, third, fourth]);
});

test('one that never answers delays no other, and closing does not wait for it', async () => {
  const silent = createTcpServer();
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  stack.defer(() => void silent.close());
  const sockets: { destroy(): void }[] = [];
  const connected = once(silent, 'connection');
  silent.on('connection', (socket) => sockets.push(socket));
  stack.defer(() => {
    for (const socket of sockets) socket.destroy();
  });
  webhooks.create(request(`http://127.0.0.1:${(silent.address() as AddressInfo).port}/`));
  webhooks.create(request(receiver.url));
  const ids = Array.from({ length: 300 }, () => record());
  await receiver.count(300);
  assert.deepEqual(receiver.ids, ids);
  await connected;
  await webhooks.close();
});

test('an answer without an end is not waited for', async () => {
  receiver.answer = (response) => void response.writeHead(200).write('x'.repeat(100_000));
  webhooks.create(request(receiver.url));
  const ids = [record(), record(), record()];
  await receiver.count(3);
  assert.deepEqual(receiver.ids, ids);
});

test('one that is disabled hears nothing, and enabled again what comes from then on; a change takes effect', async () => {
  const { webhook } = webhooks.create(request(receiver.url));
  await webhooks.update(webhook.id, { enabled: false });
  record();
  const changed = await webhooks.update(webhook.id, { enabled: true, kinds: ['paused'], secret: 'other' });
  assert.deepEqual([changed.webhook.kinds, changed.webhook.name], [['paused'], 'one']);
  record('created');
  const wanted = record('paused');
  await receiver.count(1);
  assert.deepEqual(receiver.ids, [wanted]);
  const { body, headers } = receiver.deliveries[0]!;
  const expected = createHash('sha256').update(`other${body}`).digest('base64').replace(/=+$/, '');
  assert.equal(headers['e2b-signature'], expected);
  await webhooks.delete(webhook.id);
  assert.deepEqual(webhooks.list(), []);
  for (const call of [() => webhooks.get(webhook.id), () => webhooks.create(request('http://127.0.0.2/'))]) {
    assert.throws(call, /not found|on the internet/);
  }
  await assert.rejects(webhooks.delete(webhook.id), { code: 'webhook_not_found' });
});

test('there are not more than twenty, and how one fares can be seen', async () => {
  receiver.answer = (response) => void response.writeHead(418).end();
  const { webhook } = webhooks.create(request(receiver.url));
  record();
  await receiver.count(2);
  assert.equal(webhooks.get(webhook.id).failure, 'it answered with status 418');
  for (let n = 1; n < 20; n++) webhooks.create({ ...request(receiver.url), enabled: false });
  assert.throws(() => webhooks.create(request(receiver.url)), { code: 'too_many_webhooks' });
});
