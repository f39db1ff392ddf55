export { Pairings, type Decider, type NodeTokens, type PairingDecision, type PairingWitness } from './pairings';
export { toPairing, type PairingRow } from './pairing-view';
export { PeerDirectory, type DispatchJournal, type PeerConnection } from './peer-directory';
export { PeerRegistry, type PresenceNote } from './peer-registry';
export { Dispatches, type DispatchOutcome, type WaitingTurns } from './dispatches';
export { pruneDispatches } from './sql/dispatches';
export { DispatchLoop } from './dispatch-loop';
export { demandOf, isForNodes } from './capabilities';
export { countConnections, type EdgeConnections } from './count-connections';
