// What the set-up made, told to the server in one file.
import { agentCommand } from './agent-directory.js';
import { installationFile } from './locations.js';
import { readJson, writeJson } from './write-json.js';

/**
 * @param {object} made
 * @param {import('./base-image.js').BaseImage} made.baseImage
 * @param {string | undefined} made.agentDirectory absent while the repository has no agent
 * @param {string} made.node version
 */
export function recordInstallation({ baseImage, agentDirectory, node }) {
  const installation = {
    baseImage,
    ...(agentDirectory === undefined ? {} : { agentDirectory, agentCommand: agentCommand(agentDirectory) }),
    node,
  };
  if (JSON.stringify(readJson(installationFile)) !== JSON.stringify(installation)) {
    writeJson(installationFile, installation);
  }
}
