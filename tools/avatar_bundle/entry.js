// What avatar.js uses of three.js and three-vrm. `make avatar-bundle` writes reactdiff_ros/avatar/page/three/bundle.js.
export {
  AmbientLight, Box3, Color, DirectionalLight, Group, MeshLambertMaterial, PerspectiveCamera, Quaternion, Scene, Vector3, WebGLRenderer,
} from "three";
export { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
export { VRMLoaderPlugin, VRMUtils } from "@pixiv/three-vrm";
