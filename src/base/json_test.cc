#include "base/json.h"

#include <gtest/gtest.h>

namespace sluice::base {
namespace {

TEST(Json, RefusesWhatIsNotStrict) {
  for (const char* text :
       {"", "{", "{} x", "{\"a\":1,\"a\":2}", "[1,]", "nan", "\"\xff\"", "{'a':1}"}) {
    EXPECT_FALSE(parse_json(text)) << text;
  }
  EXPECT_FALSE(parse_json(std::string(100, '[') + std::string(100, ']')));
  EXPECT_FALSE(parse_json("[1,2,3]", JsonLimits{.bytes = 4}));
  EXPECT_FALSE(parse_json(R"({"a":1,"b":2})", JsonLimits{.keys_per_object = 1}));
  EXPECT_NE(parse_json("{\"a\":1,\"a\":2}").error().message.find("'a'"), std::string::npos);
}

TEST(Json, KeepsKeyOrder) {
  EXPECT_EQ(to_line(parse_json("{\"b\":1,\"a\":[true,null]}").value()),
            "{\"b\":1,\"a\":[true,null]}");
}

TEST(Json, SameKeyInSiblingObjectsIsFine) {
  EXPECT_TRUE(parse_json("[{\"a\":1},{\"a\":{\"a\":2}}]").ok());
}

TEST(Json, FieldsNameWhatIsWrong) {
  const Json json =
      parse_json("{\"n\":3.5,\"w\":4.0,\"s\":\"x\",\"z\":null,\"big\":18446744073709551615}")
          .value();
  EXPECT_EQ(field<int64_t>(json, "w", "config").value(), 4);
  EXPECT_EQ(field<double>(json, "n", "config").value(), 3.5);
  EXPECT_FALSE(field<int64_t>(json, "big", "config"));
  EXPECT_EQ(field_or<int64_t>(json, "z", 7, "config").value(), 7);
  EXPECT_FALSE(field_or<int64_t>(json, "s", 7, "config"));
  EXPECT_EQ(field<int64_t>(json, "n", "config").error().message,
            "config: 'n' is 3.5; a whole number is expected");
  EXPECT_EQ(field<bool>(json, "gone", "config").error().message,
            "config: 'gone' is missing; true or false is expected");
  EXPECT_FALSE(field<bool>(Json(3), "gone", "config"));
}

}  // namespace
}  // namespace sluice::base
