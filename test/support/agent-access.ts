// The agent of a sandbox as seen from outside, for tests that speak to it themselves.
import type { SandportServer } from './sandport-server.ts';

export interface AgentAccess {
  readonly host: string;
  readonly url: string;
  readonly token: string;
}

/** Where the agent answers, and the access token that the API knows. */
export async function agentAccess(server: SandportServer, sandboxId: string): Promise<AgentAccess> {
  const { apiUrl, apiKey, domain } = server.connection;
  const answer = await fetch(`${apiUrl}/sandboxes/${sandboxId}`, { headers: { 'x-api-key': apiKey } });
  const { envdAccessToken } = (await answer.json()) as { envdAccessToken: string };
  const host = `49983-${sandboxId}.${domain}`;
  return { host, url: `https://${host}`, token: envdAccessToken };
}
