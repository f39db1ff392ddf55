export { BACKPLANE, ControlPlaneModule, STATE_STORE } from './control-plane.module';
