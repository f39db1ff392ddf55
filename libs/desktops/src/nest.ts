export { DesktopHostModule } from './desktops.module';
