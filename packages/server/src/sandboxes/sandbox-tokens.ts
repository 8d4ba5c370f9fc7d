// Tokens of a sandbox, derived from one secret of the machine: nothing to store, the same after a restart.
import { createHash, createHmac } from 'node:crypto';
import type { PassKeys } from '@sandport/protocol/access-pass';

export class SandboxTokens {
  readonly #seed: Uint8Array;

  /** @param seed at least 32 random bytes */
  constructor(seed: Uint8Array) {
    this.#seed = seed;
  }

  /** What the agent asks for in `X-Access-Token` (`envdAccessToken` on the wire). */
  agentAccess(sandboxId: string): string {
    return this.#derive(`sandbox-agent-${sandboxId}`);
  }

  /** What a private public URL asks for (`trafficAccessToken` on the wire). */
  trafficAccess(sandboxId: string): string {
    return this.#derive(`sandbox-traffic-${sandboxId}`);
  }

  /**
   * What signed URLs and the cookies of browsers are signed with.
   *
   * @param urlGeneration changes when signed URLs are revoked
   */
  passKeys(sandboxId: string, urlGeneration: number): PassKeys {
    return {
      session: this.#deriveKey(`sandbox-session-key-${sandboxId}`),
      url: this.#deriveKey(`sandbox-url-key-${sandboxId}-${urlGeneration}`),
    };
  }

  /** With which the gateway asks the agent for a tunnel to the sandbox's loopback. */
  loopbackTunnel(sandboxId: string): string {
    return this.#derive(`sandbox-tunnel-${sandboxId}`);
  }

  /** From which the key of the sandbox's certificate authority is derived; never leaves the machine. */
  egressAuthority(sandboxId: string): string {
    return this.#derive(`sandbox-egress-authority-${sandboxId}`);
  }

  /** With which the host initialises the agent; never leaves the machine. */
  agentControl(sandboxId: string): string {
    return this.#derive(`sandbox-control-${sandboxId}`);
  }

  #derive(purpose: string): string {
    return this.#deriveKey(purpose).toString('hex');
  }

  #deriveKey(purpose: string): Buffer {
    return createHmac('sha256', this.#seed).update(purpose).digest();
  }
}

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
