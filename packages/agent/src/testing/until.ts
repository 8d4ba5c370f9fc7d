// Waits for a condition.
import { setTimeout as delay } from 'node:timers/promises';

/** Polls until `condition` gives a value other than false or undefined. @throws Error after `timeoutMs` */
export async function until<Value>(
  what: string,
  condition: () => Value | Promise<Value>,
  timeoutMs = 20_000,
): Promise<Exclude<Value, false | undefined>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== undefined) return value as Exclude<Value, false | undefined>;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await delay(20);
  }
}
