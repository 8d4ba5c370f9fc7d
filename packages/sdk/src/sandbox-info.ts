// Facts of a sandbox, as the API tells them.
import type { ListedSandbox, SandboxDetail, SandboxState } from '@sandport/protocol/api';

export type { SandboxState };

export interface SandboxInfo {
  readonly sandboxId: string;
  readonly templateId: string;
  /** Alias of the template. */
  readonly name?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly startedAt: Date;
  readonly endAt: Date;
  readonly state: SandboxState;
  readonly cpuCount: number;
  /** Mebibytes. */
  readonly memoryMB: number;
  readonly envdVersion: string;
  readonly allowInternetAccess?: boolean;
  readonly network?: SandboxDetail['network'];
  readonly lifecycle?: SandboxDetail['lifecycle'];
  /** Domain of its public URLs where it is another than the client's. */
  readonly sandboxDomain?: string;
}

export function toInfo(wire: ListedSandbox | SandboxDetail): SandboxInfo {
  const detail = wire as SandboxDetail;
  return {
    sandboxId: wire.sandboxID,
    templateId: wire.templateID,
    ...(wire.alias !== undefined && { name: wire.alias }),
    metadata: wire.metadata ?? {},
    startedAt: new Date(wire.startedAt),
    endAt: new Date(wire.endAt),
    state: wire.state,
    cpuCount: wire.cpuCount,
    memoryMB: wire.memoryMB,
    envdVersion: wire.envdVersion,
    ...(detail.allowInternetAccess !== undefined && { allowInternetAccess: detail.allowInternetAccess }),
    ...(detail.network !== undefined && { network: detail.network }),
    ...(detail.lifecycle !== undefined && { lifecycle: detail.lifecycle }),
    ...(detail.domain && { sandboxDomain: detail.domain }),
  };
}
