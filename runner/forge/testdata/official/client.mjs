// Drives GitHub's own artifact client: node client.mjs <verb> <arguments>. What
// it returns is written as JSON to the file that RESULT names, because the
// client itself talks on standard output.
import { writeFileSync } from 'node:fs'
import artifact from '@actions/artifact'

const [verb, ...args] = process.argv.slice(2)

const verbs = {
  upload: (name, root, ...files) => artifact.uploadArtifact(name, files, root, { retentionDays: 3 }),
  list: () => artifact.listArtifacts(),
  download: async (name, path) => {
    const found = await artifact.getArtifact(name)
    return artifact.downloadArtifact(found.artifact.id, { path, expectedHash: found.artifact.digest })
  },
  // as another run does, by the API
  fetch: async (name, path, run, owner, repo, token) => {
    const findBy = { token, workflowRunId: Number(run), repositoryOwner: owner, repositoryName: repo }
    const found = await artifact.getArtifact(name, { findBy })
    return artifact.downloadArtifact(found.artifact.id, { path, findBy, expectedHash: found.artifact.digest })
  },
  delete: (name) => artifact.deleteArtifact(name),
}

let result
try {
  result = await verbs[verb](...args)
} catch (err) {
  result = { error: `${err.name}: ${err.message}` }
}
writeFileSync(process.env.RESULT, JSON.stringify(result))
