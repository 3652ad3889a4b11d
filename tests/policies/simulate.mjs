// Reads a JSON list of simulations and writes the list of their verdicts, or of what is wrong with each.
import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const verdicts = []
for (const simulation of JSON.parse(readFileSync(0, 'utf8'))) {
  const answer = await runSimulation(simulation, {})
  verdicts.push(answer.resultType === 'error' ? JSON.stringify(answer.errors) : answer.overallResult)
}
process.stdout.write(JSON.stringify(verdicts))
