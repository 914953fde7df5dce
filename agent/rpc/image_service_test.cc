#include "agent/rpc/image_service.h"

#include <grpcpp/grpcpp.h>

#include "agent/rpc/grpc_status.h"
#include "agent/rpc/testing/fake_pod_manager.h"
#include "davit/v1/image_service.grpc.pb.h"
#include "runtime/image/fake_image_store.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::FakePodManager;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ImageServiceTest : public ::testing::Test {
 protected:
  ImageServiceTest() : service_(NewImageService(&images_, &manager_)) {
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::ImageService::NewStub(server_->InProcessChannel({}));
  }

  ~ImageServiceTest() override { server_->Shutdown(); }

  absl::Status Import(const v1::ImportRequest& request) {
    grpc::ClientContext context;
    import_.Clear();
    return FromGrpcStatus(stub_->Import(&context, request, &import_));
  }

  absl::Status Remove(const std::string& image) {
    grpc::ClientContext context;
    v1::RemoveImageRequest request;
    request.set_image(image);
    remove_.Clear();
    return FromGrpcStatus(stub_->Remove(&context, request, &remove_));
  }

  FakeImageStore images_;
  FakePodManager manager_;
  v1::ImportResponse import_;
  v1::RemoveImageResponse remove_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::ImageService::Stub> stub_;
};

TEST_F(ImageServiceTest, ImportsAndGets) {
  v1::ImportRequest request;
  request.set_path("/tmp/nginx.tar");
  request.set_name("shop/web:1");
  request.set_format(v1::IMAGE_FORMAT_DOCKER_ARCHIVE);
  ASSERT_THAT(Import(request), IsOk());
  ASSERT_EQ(import_.images_size(), 1);
  EXPECT_THAT(import_.images(0).names(), ElementsAre("docker.io/shop/web:1"));

  grpc::ClientContext context;
  v1::GetImageRequest get;
  get.set_image("shop/web:1");
  v1::GetImageResponse response;
  ASSERT_THAT(FromGrpcStatus(stub_->Get(&context, get, &response)), IsOk());
  EXPECT_EQ(response.image().id(), import_.images(0).id());
}

TEST_F(ImageServiceTest, ConvertsAllOfAnImage) {
  ImageConfig config;
  config.entrypoint = {"/e"};
  config.cmd = {"c", "d"};
  config.env = {"A=1"};
  config.working_dir = "/w";
  config.user = "u:g";
  config.labels = {{"k", "v"}};
  config.architecture = "amd64";
  config.os = "linux";
  Image image = images_.Add("machine", config, /*bootable=*/true);
  grpc::ClientContext context;
  v1::GetImageRequest request;
  request.set_image("machine");
  v1::GetImageResponse response;
  ASSERT_THAT(FromGrpcStatus(stub_->Get(&context, request, &response)), IsOk());
  const v1::Image& out = response.image();
  EXPECT_EQ(out.id(), image.id);
  EXPECT_TRUE(out.bootable());
  EXPECT_THAT(out.entrypoint(), ElementsAre("/e"));
  EXPECT_THAT(out.cmd(), ElementsAre("c", "d"));
  EXPECT_THAT(out.env(), ElementsAre("A=1"));
  EXPECT_EQ(out.working_dir(), "/w");
  EXPECT_EQ(out.user(), "u:g");
  EXPECT_EQ(out.labels().at("k"), "v");
  EXPECT_EQ(out.architecture(), "amd64");
  EXPECT_EQ(out.os(), "linux");
  EXPECT_EQ(out.size_bytes(), image.size_bytes);
  EXPECT_EQ(out.layers_size(), static_cast<int>(image.layers.size()));
  EXPECT_EQ(out.import_time().seconds(),
            absl::ToUnixSeconds(image.imported_at));
}

TEST_F(ImageServiceTest, ImportRefusesBadRequests) {
  v1::ImportRequest request;
  request.set_path("nginx.tar");
  EXPECT_THAT(Import(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                        StartsWith("path: \"nginx.tar\"")));
  request.set_path("/x");
  request.set_format(static_cast<v1::ImageFormat>(77));
  EXPECT_THAT(Import(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                        StartsWith("format: unknown")));
  request.clear_format();
  images_.FailNextImport(absl::DataLossError("layer 2: digest mismatch"));
  EXPECT_THAT(Import(request), StatusIs(absl::StatusCode::kDataLoss,
                                        "layer 2: digest mismatch"));
}

TEST_F(ImageServiceTest, ListsInPagesByName) {
  for (const char* name : {"c", "a", "b"}) images_.Add(name);
  v1::ListImagesRequest request;
  request.set_page_size(2);
  v1::ListImagesResponse response;
  {
    grpc::ClientContext context;
    ASSERT_THAT(FromGrpcStatus(stub_->List(&context, request, &response)),
                IsOk());
  }
  ASSERT_EQ(response.images_size(), 2);
  EXPECT_EQ(response.images(0).names(0), "docker.io/library/a:latest");
  EXPECT_EQ(response.images(1).names(0), "docker.io/library/b:latest");
  request.set_page_token(response.next_page_token());
  grpc::ClientContext context;
  response.Clear();
  ASSERT_THAT(FromGrpcStatus(stub_->List(&context, request, &response)),
              IsOk());
  ASSERT_EQ(response.images_size(), 1);
  EXPECT_EQ(response.images(0).names(0), "docker.io/library/c:latest");
  EXPECT_EQ(response.next_page_token(), "");
}

TEST_F(ImageServiceTest, RemovesAndSaysWhatIsGone) {
  Image image = images_.Add("nginx");
  ASSERT_THAT(Remove("nginx"), IsOk());
  EXPECT_THAT(remove_.removed(),
              ElementsAre("docker.io/library/nginx:latest", image.id));
  EXPECT_THAT(Remove("nginx"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nginx")));
  EXPECT_THAT(Remove(""), StatusIs(absl::StatusCode::kInvalidArgument,
                                   "image: is required"));
}

TEST_F(ImageServiceTest, RemovesOneNameOfSeveral) {
  v1::ImportRequest request;
  request.set_path("/tmp/x.tar");
  request.set_name("one");
  ASSERT_THAT(Import(request), IsOk());
  request.set_name("two");
  ASSERT_THAT(Import(request), IsOk());
  ASSERT_THAT(Remove("one"), IsOk());
  EXPECT_THAT(remove_.removed(), ElementsAre("docker.io/library/one:latest"));
}

TEST_F(ImageServiceTest, NamesThePodThatUsesAnImage) {
  Image image = images_.Add("nginx");
  ASSERT_OK_AND_ASSIGN(auto hold, images_.Hold("nginx"));
  PodSpec spec;
  spec.name = "shop";
  ASSERT_THAT(manager_.Create(spec), IsOk());
  manager_.Update("shop", [&](Pod& pod) { pod.root_image_id = image.id; });
  EXPECT_THAT(Remove("nginx"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "image \"nginx\" is used by pod \"shop\""));

  manager_.Update("shop", [&](Pod& pod) {
    pod.root_image_id = "";
    pod.status.apps.resize(1);
    pod.status.apps[0].image_id = image.id;
  });
  EXPECT_THAT(Remove("nginx"), StatusIs(absl::StatusCode::kFailedPrecondition,
                                        HasSubstr("pod \"shop\"")));

  // Held by something else: the store's own words.
  manager_.Remove("shop", std::nullopt).IgnoreError();
  EXPECT_THAT(Remove("nginx"), StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace davit
