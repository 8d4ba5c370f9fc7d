// Schemas of the REST API: the server validates with them, OpenAPI is made of them, clients take their types from them.
import { type Static, Type } from 'typebox';

const Metadata = Type.Record(Type.String({ maxLength: 256 }), Type.String({ maxLength: 4096 }), { maxProperties: 64 });
const EnvVars = Type.Record(Type.String({ minLength: 1, maxLength: 256 }), Type.String({ maxLength: 131_072 }), {
  maxProperties: 512,
});

/** Addresses, ranges and names in each list of a sandbox. */
export const MAX_EGRESS_ENTRIES = 10_000;

/** A rule under a name that is not known would leave open what it was to close. */
const STRICT = { additionalProperties: false } as const;

const HeaderTransform = Type.Object(
  { headers: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 8192 }))) },
  STRICT,
);
const Socks5Proxy = Type.Object(
  {
    address: Type.String({ maxLength: 512 }),
    username: Type.Optional(Type.String({ maxLength: 1024 })),
    password: Type.Optional(Type.String({ maxLength: 1024 })),
  },
  STRICT,
);

export const EgressRules = Type.Object(
  {
    allow_internet_access: Type.Optional(Type.Boolean()),
    allowOut: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: MAX_EGRESS_ENTRIES })),
    denyOut: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: MAX_EGRESS_ENTRIES })),
    /** Headers added to requests, by domain. */
    rules: Type.Optional(
      Type.Record(
        Type.String({ maxLength: 256 }),
        Type.Array(Type.Object({ transform: Type.Optional(HeaderTransform) }, STRICT), { maxItems: 10 }),
        { maxProperties: 100 },
      ),
    ),
    /** SOCKS5; the password is never reported back. */
    egressProxy: Type.Optional(Type.Union([Socks5Proxy, Type.Null()])),
  },
  STRICT,
);
export type EgressRules = Static<typeof EgressRules>;

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const Ports = Type.Array(Port, { maxItems: 256 });

export const NetworkOptions = Type.Object(
  {
    allowPublicTraffic: Type.Optional(Type.Boolean()),
    /** Extensions: ports that are public although `allowPublicTraffic` is false, or private although it is not. */
    publicPorts: Type.Optional(Ports),
    privatePorts: Type.Optional(Ports),
    allowOut: EgressRules.properties.allowOut,
    denyOut: EgressRules.properties.denyOut,
    rules: EgressRules.properties.rules,
    egressProxy: EgressRules.properties.egressProxy,
    maskRequestHost: Type.Optional(Type.String({ minLength: 1, maxLength: 261 })),
    /** An extension: Origin, Referer and Location are translated too. */
    maskRequestOrigin: Type.Optional(Type.Boolean()),
    /** An extension: ports whose servers speak HTTP/2 without TLS, and get it from clients that do. */
    http2Ports: Type.Optional(Ports),
    /** Of the official clients; refused where it asks for something. */
    httpsPorts: Type.Optional(Type.Unknown()),
  },
  STRICT,
);
export type NetworkOptions = Static<typeof NetworkOptions>;

export const CreateSandboxBody = Type.Object({
  templateID: Type.String({ minLength: 1, maxLength: 256 }),
  /** Seconds until the end; the clients send 300. */
  timeout: Type.Optional(Type.Integer()),
  autoPause: Type.Optional(Type.Boolean()),
  autoPauseMemory: Type.Optional(Type.Boolean()),
  autoResume: Type.Optional(Type.Object({ enabled: Type.Optional(Type.Boolean()) })),
  /** An extension: go on from the newest snapshot when the machine was restarted. */
  restoreWhenLost: Type.Optional(Type.Boolean()),
  secure: Type.Optional(Type.Boolean()),
  allow_internet_access: Type.Optional(Type.Boolean()),
  network: Type.Optional(NetworkOptions),
  metadata: Type.Optional(Metadata),
  envVars: Type.Optional(EnvVars),
});
export type CreateSandboxBody = Static<typeof CreateSandboxBody>;

/** The second version of creation: agent and private URLs are always secured by tokens. */
export const CreateSandboxV2Body = Type.Omit(CreateSandboxBody, ['secure']);
export type CreateSandboxV2Body = Static<typeof CreateSandboxV2Body>;

/** Answer of create and connect. */
export const Sandbox = Type.Object({
  templateID: Type.String(),
  alias: Type.Optional(Type.String()),
  sandboxID: Type.String(),
  clientID: Type.String(),
  envdVersion: Type.String(),
  envdAccessToken: Type.Optional(Type.String()),
  trafficAccessToken: Type.Optional(Type.String()),
  domain: Type.Optional(Type.Union([Type.String(), Type.Null()])),
});
export type Sandbox = Static<typeof Sandbox>;

export const SandboxState = Type.Union([Type.Literal('running'), Type.Literal('paused')]);
export type SandboxState = Static<typeof SandboxState>;

/** One row of the list. Times are RFC 3339 strings. */
export const ListedSandbox = Type.Object({
  templateID: Type.String(),
  alias: Type.Optional(Type.String()),
  sandboxID: Type.String(),
  clientID: Type.String(),
  startedAt: Type.String(),
  endAt: Type.String(),
  cpuCount: Type.Integer(),
  memoryMB: Type.Integer(),
  diskSizeMB: Type.Integer(),
  metadata: Type.Optional(Metadata),
  state: SandboxState,
  envdVersion: Type.String(),
});
export type ListedSandbox = Static<typeof ListedSandbox>;

export const SandboxDetail = Type.Object({
  ...ListedSandbox.properties,
  envdAccessToken: Type.Optional(Type.String()),
  allowInternetAccess: Type.Optional(Type.Boolean()),
  domain: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  network: Type.Optional(NetworkOptions),
  lifecycle: Type.Optional(
    Type.Object({
      autoResume: Type.Boolean(),
      onTimeout: Type.Union([Type.Literal('kill'), Type.Literal('pause')]),
    }),
  ),
});
export type SandboxDetail = Static<typeof SandboxDetail>;

/** An extension: a URL that opens one private port for a time. */
export const SignUrlBody = Type.Object({
  port: Port,
  /** Seconds; default 3600. */
  expiresIn: Type.Optional(Type.Integer()),
});
export const SignedUrl = Type.Object({
  url: Type.String(),
  /** RFC 3339. */
  expiresAt: Type.String(),
});
export type SignedUrl = Static<typeof SignedUrl>;

/** What a sandbox may reach, and what became of what it tried. Secrets are left out. */
export const NetworkReport = Type.Object({
  sandboxID: Type.String(),
  allowInternetAccess: Type.Optional(Type.Boolean()),
  network: NetworkOptions,
  /** Since the sandbox was started or resumed. */
  traffic: Type.Object({
    connections: Type.Integer(),
    sentBytes: Type.Integer(),
    receivedBytes: Type.Integer(),
    /** Packets, connections and questions about names. */
    denied: Type.Integer(),
  }),
  /** The latest first. */
  denials: Type.Array(
    Type.Object({
      /** RFC 3339. */
      at: Type.String(),
      protocol: Type.Union([Type.Literal('tcp'), Type.Literal('udp'), Type.Literal('dns')]),
      /** As the sandbox gave it, or had it from the resolver. */
      name: Type.Optional(Type.String()),
      address: Type.Optional(Type.String()),
      port: Type.Optional(Type.Integer()),
      reason: Type.String(),
      count: Type.Integer(),
    }),
  ),
});
export type NetworkReport = Static<typeof NetworkReport>;

/** From the least grave on. */
export const LogLevel = Type.Union([
  Type.Literal('debug'),
  Type.Literal('info'),
  Type.Literal('warn'),
  Type.Literal('error'),
]);

/** Something that happened with a sandbox or in it. */
export const SandboxLogEntry = Type.Object({
  /** RFC 3339. */
  timestamp: Type.String(),
  level: LogLevel,
  message: Type.String(),
  fields: Type.Record(Type.String(), Type.String()),
});
export type SandboxLogEntry = Static<typeof SandboxLogEntry>;
export const SandboxLogs = Type.Object({
  /** The same entries, each as JSON text. */
  logs: Type.Array(Type.Object({ timestamp: Type.String(), line: Type.String() })),
  logEntries: Type.Array(SandboxLogEntry),
});

export const TimeoutBody = Type.Object({
  /** Seconds from now. */
  timeout: Type.Integer(),
});
export const ConnectBody = TimeoutBody;
/** The second version of connect: the body is optional. */
export const ConnectV2Body = Type.Union([
  Type.Object({ timeout: Type.Optional(Type.Integer()), memory: Type.Optional(Type.Boolean()) }),
  Type.Null(),
]);
/** The body of a pause is optional. */
export const PauseBody = Type.Union([
  /** `memory`: whether processes are kept; default true. */
  Type.Object({ memory: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])) }),
  Type.Null(),
]);
/** Deprecated beside connect. */
export const ResumeBody = Type.Union([Type.Object({ timeout: Type.Optional(Type.Integer()) }), Type.Null()]);

export const ForkBody = Type.Union([
  /** `timeout`: seconds of life of each fork. */
  Type.Object({ timeout: Type.Optional(Type.Integer()), count: Type.Optional(Type.Integer()) }),
  Type.Null(),
]);
/** One for each fork: the sandbox, or why there is none. */
export const ForkResult = Type.Object({
  sandbox: Type.Optional(Sandbox),
  error: Type.Optional(Type.Object({ code: Type.Integer(), message: Type.String(), error_code: Type.String() })),
});
export type ForkResult = Static<typeof ForkResult>;

export const SnapshotBody = Type.Union([
  Type.Object({ name: Type.Optional(Type.String({ minLength: 1, maxLength: 257 })) }),
  Type.Null(),
]);
export const SnapshotInfo = Type.Object({
  /** With its tag; what a creation takes as `templateID`. */
  snapshotID: Type.String(),
  names: Type.Array(Type.String()),
});
export type SnapshotInfo = Static<typeof SnapshotInfo>;

/** The body of a refresh is optional. */
export const RefreshBody = Type.Union([
  /** `duration`: seconds from now, at least 15. */
  Type.Object({ duration: Type.Optional(Type.Integer({ minimum: 0, maximum: 3600 })) }),
  Type.Null(),
]);

/** The constant second field of legacy host names; official clients expect some string. */
export const CLIENT_ID = '6532622b';

/** One server is one team. */
export const TEAM_ID = '7365616e-6470-4f72-b400-000000000001';

/** What a sandbox used between one sample and the one before; sizes in bytes. */
export const SandboxMetric = Type.Object({
  timestamp: Type.String(),
  /** Seconds since 1970. */
  timestampUnix: Type.Integer(),
  cpuCount: Type.Integer(),
  /** Of all processors, 0 to 100. */
  cpuUsedPct: Type.Number(),
  memUsed: Type.Integer(),
  memTotal: Type.Integer(),
  memCache: Type.Integer(),
  diskUsed: Type.Integer(),
  diskTotal: Type.Integer(),
});
export type SandboxMetric = Static<typeof SandboxMetric>;

/** One event of a sandbox's life, as the API answers it. */
export const LifecycleEvent = Type.Object({
  id: Type.String(),
  version: Type.String(),
  /** `sandbox.lifecycle.` and `created`, `updated`, `paused`, `resumed`, `checkpointed` or `killed`. */
  type: Type.String(),
  timestamp: Type.String(),
  eventCategory: Type.String(),
  eventLabel: Type.String(),
  eventData: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]),
  sandboxId: Type.String(),
  sandboxExecutionId: Type.String(),
  sandboxTemplateId: Type.String(),
  sandboxBuildId: Type.String(),
  sandboxTeamId: Type.String(),
});
export type LifecycleEvent = Static<typeof LifecycleEvent>;

const EventTypes = Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 32 });
const WebhookName = Type.String({ minLength: 1, maxLength: 256 });
const WebhookUrl = Type.String({ minLength: 1, maxLength: 2048 });
const SignatureSecret = Type.String({ minLength: 1, maxLength: 512 });

export const CreateWebhookBody = Type.Object({
  name: WebhookName,
  url: WebhookUrl,
  events: EventTypes,
  enabled: Type.Optional(Type.Boolean()),
  signatureSecret: SignatureSecret,
});
export type CreateWebhookBody = Static<typeof CreateWebhookBody>;

export const UpdateWebhookBody = Type.Object({
  name: Type.Optional(WebhookName),
  url: Type.Optional(WebhookUrl),
  events: Type.Optional(EventTypes),
  enabled: Type.Optional(Type.Boolean()),
  signatureSecret: Type.Optional(SignatureSecret),
});
export type UpdateWebhookBody = Static<typeof UpdateWebhookBody>;

/** Without its secret, which is never told. */
export const Webhook = Type.Object({
  id: Type.String(),
  teamId: Type.String(),
  teamID: Type.String(),
  name: Type.String(),
  url: Type.String(),
  events: Type.Array(Type.String()),
  enabled: Type.Boolean(),
  createdAt: Type.String(),
  /** Extensions: when it last took an event since the server was started, and why the last attempt failed. */
  deliveredAt: Type.Optional(Type.String()),
  failure: Type.Optional(Type.String()),
});
export type Webhook = Static<typeof Webhook>;

/** Without the key itself. */
export const ApiKey = Type.Object({
  id: Type.String(),
  name: Type.String(),
  /** What a person tells it by. */
  mask: Type.Object({
    prefix: Type.String(),
    valueLength: Type.Integer(),
    maskedValuePrefix: Type.String(),
    maskedValueSuffix: Type.String(),
  }),
  createdAt: Type.String(),
  /** An extension: sandboxes of this key that run at once; absent: as many as the server has room for. */
  maxSandboxes: Type.Optional(Type.Integer()),
});
export type ApiKey = Static<typeof ApiKey>;

/** Answered once, when it is made. */
export const NewApiKey = Type.Object({ ...ApiKey.properties, key: Type.String() });
export type NewApiKey = Static<typeof NewApiKey>;

export const CreateApiKeyBody = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 256 }),
  maxSandboxes: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
});
export type CreateApiKeyBody = Static<typeof CreateApiKeyBody>;
