// Webhooks: each gets the events that it asked for, one after the other in the order in which they were stored, each at
// least once. How far one has come is stored, so that a restart loses nothing; one that does not answer delays no other.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { SandportError } from '@sandport/protocol/errors';
import type { EventKind, EventStore, StoredEvent } from './lifecycle-event.ts';
import { postWebhook } from './post-webhook.ts';
import type { Webhook, WebhookStore } from './webhook.ts';
import type { WebhookAddresses } from './webhook-address.ts';
import { webhookBody, webhookSignature } from './webhook-request.ts';

export interface WebhooksOptions {
  readonly store: WebhookStore;
  readonly events: EventStore;
  readonly addresses: WebhookAddresses;
  readonly log: { event(name: string, fields: Readonly<Record<string, unknown>>): void };
  readonly now?: () => number;
  /** Between two attempts at one event, in milliseconds; there is one attempt more than there are of these. */
  readonly retryMs?: readonly number[];
}

export interface WebhookRequest {
  readonly name: string;
  readonly url: string;
  readonly enabled: boolean;
  readonly kinds: readonly EventKind[];
  readonly secret: string;
}

/** How a webhook fares. */
export interface WebhookReport {
  readonly webhook: Webhook;
  /** Milliseconds since 1970; of the last delivery. */
  readonly deliveredAt: number | undefined;
  /** Why the last attempt failed; undefined when it did not. */
  readonly failure: string | undefined;
}

export const MAX_WEBHOOKS = 20;
const BATCH = 100;
/** A quarter of an hour all in all. */
const RETRY_MS = [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000];

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #retryMs: readonly number[];
  readonly #couriers = new Map<string, Courier>();

  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.#retryMs = options.retryMs ?? RETRY_MS;
    for (const webhook of options.store.all()) this.#couriers.set(webhook.id, this.#courier(webhook));
  }

  /** To be called when there is a new event. */
  wake(): void {
    for (const courier of this.#couriers.values()) courier.wake();
  }

  /** Throws `validation_failed` or `too_many_webhooks`. */
  create(request: WebhookRequest): WebhookReport {
    const { store, events, addresses, now = Date.now } = this.#options;
    const url = addresses.validate(request.url);
    if (this.#couriers.size >= MAX_WEBHOOKS) {
      throw new SandportError('too_many_webhooks', `there are ${MAX_WEBHOOKS} webhooks already, which is the most`);
    }
    // It hears of what happens from now on.
    const rest = { id: randomUUID(), createdAt: now(), position: events.last, attempts: 0 };
    const webhook: Webhook = { ...request, ...rest, url };
    store.insert(webhook);
    const courier = this.#courier(webhook);
    this.#couriers.set(webhook.id, courier);
    return courier.report;
  }

  list(): WebhookReport[] {
    return [...this.#couriers.values()].map(({ report }) => report);
  }

  /** Throws `webhook_not_found`. */
  get(id: string): WebhookReport {
    return this.#find(id).report;
  }

  /** Changes what is given. One that is enabled again hears of what happens from then on. Throws as `create` and `get`. */
  async update(id: string, changes: Partial<WebhookRequest>): Promise<WebhookReport> {
    const before = this.#find(id);
    const url = changes.url === undefined ? undefined : this.#options.addresses.validate(changes.url);
    await before.stop();
    const { webhook } = before.report;
    const isEnabledAgain = changes.enabled === true && !webhook.enabled;
    const changed: Webhook = {
      ...webhook,
      ...changes,
      ...(url !== undefined && { url }),
      ...(isEnabledAgain && { position: this.#options.events.last }),
      attempts: 0,
    };
    // Somebody may have deleted it while this waited.
    if (this.#couriers.get(id) !== before) throw notFound(id);
    this.#options.store.update(changed);
    const courier = this.#courier(changed);
    this.#couriers.set(id, courier);
    return courier.report;
  }

  /** Throws `webhook_not_found`. */
  async delete(id: string): Promise<void> {
    const courier = this.#find(id);
    this.#couriers.delete(id);
    this.#options.store.delete(id);
    await courier.stop();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#couriers.values()].map((courier) => courier.stop()));
  }

  #courier(webhook: Webhook): Courier {
    const courier = new Courier(webhook, this.#options, this.#retryMs);
    courier.wake();
    return courier;
  }

  #find(id: string): Courier {
    const courier = this.#couriers.get(id);
    if (courier === undefined) throw notFound(id);
    return courier;
  }
}

/** Carries events to one webhook. */
class Courier {
  readonly #options: WebhooksOptions;
  readonly #retryMs: readonly number[];
  readonly #stopping = new AbortController();
  #webhook: Webhook;
  #deliveredAt: number | undefined;
  #failure: string | undefined;
  #round: Promise<void> | undefined;
  #isDelivering = false;
  #isAwaited = false;

  constructor(webhook: Webhook, options: WebhooksOptions, retryMs: readonly number[]) {
    this.#webhook = webhook;
    this.#options = options;
    this.#retryMs = retryMs;
  }

  get report(): WebhookReport {
    return { webhook: this.#webhook, deliveredAt: this.#deliveredAt, failure: this.#failure };
  }

  wake(): void {
    this.#isAwaited = true;
    if (!this.#webhook.enabled || this.#stopping.signal.aborted) return;
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    this.#round = this.#deliverAll();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#round;
  }

  async #deliverAll(): Promise<void> {
    const { events, log } = this.#options;
    const { signal } = this.#stopping;
    // Whoever waited for an event to be stored goes on first.
    await Promise.resolve();
    try {
      while (this.#isAwaited) {
        this.#isAwaited = false;
        for (;;) {
          const batch = events.after(this.#webhook.position, BATCH);
          for (const event of batch) {
            if (!this.#webhook.kinds.includes(event.kind)) continue;
            await this.#deliver(event);
            if (signal.aborted) return;
            this.#advance(event.position, 0);
          }
          const last = batch.at(-1);
          if (last !== undefined && last.position > this.#webhook.position) this.#advance(last.position, 0);
          if (batch.length < BATCH) break;
        }
      }
    } catch (error) {
      log.event('webhook stopped', { webhookId: this.#webhook.id, error });
    } finally {
      // In the same turn as the last look at whether it is awaited, so that no call in between is lost.
      this.#isDelivering = false;
    }
  }

  /** Returns when the event was delivered or given up. */
  async #deliver(event: StoredEvent): Promise<void> {
    const { addresses, log, now = Date.now } = this.#options;
    const { signal } = this.#stopping;
    const { id, url, secret } = this.#webhook;
    const body = webhookBody(event);
    while (!signal.aborted) {
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'sandport',
        'e2b-webhook-id': id,
        'e2b-delivery-id': randomUUID(),
        'e2b-signature-version': 'v1',
        'e2b-signature': webhookSignature(secret, body),
      };
      try {
        await postWebhook(url, { headers, body, addresses, signal });
        this.#deliveredAt = now();
        this.#failure = undefined;
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#failure = (error as Error).message;
      }
      const { position, attempts } = this.#webhook;
      const wait = this.#retryMs[attempts];
      if (wait === undefined) {
        log.event('webhook not delivered', { webhookId: id, eventId: event.id, reason: this.#failure });
        return;
      }
      this.#advance(position, attempts + 1);
      await delay(wait, undefined, { signal }).catch(() => {});
    }
  }

  #advance(position: number, attempts: number): void {
    this.#webhook = { ...this.#webhook, position, attempts };
    this.#options.store.setProgress(this.#webhook.id, position, attempts);
  }
}

function notFound(id: string): SandportError {
  return new SandportError('webhook_not_found', `webhook '${id.slice(0, 64)}' not found`);
}
