// What a sandbox was asked for, as it stands in the database: values that are credentials are encrypted.
import type { SandboxSpec } from '../sandboxes/sandbox-record.ts';
import { Sealer } from './sealer.ts';

type Sealed = { readonly sealed: string };

/** Environment variables, values of headers, and the proxy with its password. */
interface Secrets {
  readonly envVars: SandboxSpec['envVars'];
  readonly rules?: NonNullable<SandboxSpec['network']['rules']>;
  readonly egressProxy?: NonNullable<SandboxSpec['network']['egressProxy']>;
}

export class SpecSealer {
  readonly #sealer: Sealer;

  /** @param seed the data directory's secret */
  constructor(seed: Uint8Array) {
    this.#sealer = new Sealer(seed, 'sandbox-credentials');
  }

  /** @param id of the record that the text belongs to; it opens under no other */
  seal(id: string, spec: SandboxSpec): string {
    const { envVars, network, ...rest } = spec;
    const { rules, egressProxy, ...open } = network;
    const secrets: Secrets = { envVars, ...(rules && { rules }), ...(egressProxy && { egressProxy }) };
    const sealed: Sealed = {
      sealed: Buffer.from(this.#sealer.seal(JSON.stringify(secrets), id)).toString('base64'),
    };
    return JSON.stringify({ ...rest, network: open, secrets: sealed });
  }

  /** @throws Error when the text was sealed with another secret, or for another record */
  open(id: string, text: string): SandboxSpec {
    const { secrets, ...spec } = JSON.parse(text) as SandboxSpec & { readonly secrets?: Sealed };
    // Written before there was encryption.
    if (secrets === undefined) return spec;
    const { envVars, ...network } = JSON.parse(this.#open(id, secrets.sealed)) as Secrets;
    return { ...spec, envVars, network: { ...spec.network, ...network } };
  }

  #open(id: string, sealed: string): string {
    try {
      return this.#sealer.open(Buffer.from(sealed, 'base64'), id);
    } catch (cause) {
      throw new Error(`the record ${id} was written with another secret than that of identity.json`, { cause });
    }
  }
}

/** Whether a text is from before there was encryption. */
export function isUnsealed(text: string): boolean {
  return !('secrets' in (JSON.parse(text) as object));
}
