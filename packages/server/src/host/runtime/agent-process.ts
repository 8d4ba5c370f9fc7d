// How the agent is started inside a sandbox: by its own loader with its own C library, so that it needs nothing of the image.

const AGENT_MOUNT = '/.sandport';

const loaders: Partial<Record<NodeJS.Architecture, string>> = {
  x64: 'ld-linux-x86-64.so.2',
  arm64: 'ld-linux-aarch64.so.1',
};

export function agentArguments(): string[] {
  const loader = loaders[process.arch];
  if (loader === undefined) throw new Error(`no agent for the architecture ${process.arch}`);
  return [
    `${AGENT_MOUNT}/lib/${loader}`,
    '--library-path',
    `${AGENT_MOUNT}/lib`,
    `${AGENT_MOUNT}/node`,
    // One thread is enough for V8's helpers here: each costs memory in every sandbox.
    '--v8-pool-size=1',
    `${AGENT_MOUNT}/agent.js`,
  ];
}
